"use strict";
// Sorts the rows of each base, and the bases by their first row. Cells without a value stay last either way.
const key = (row, column) => {
  const cell = row.cells[column];
  if (cell.dataset.n !== undefined) return Number(cell.dataset.n);
  return cell.classList.contains("n") ? "" : cell.textContent;
};
const compare = (a, b, sign) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
};
const sortTable = (table, column, sign) => {
  const bodies = [...table.tBodies].map((body) => {
    const rows = [...body.rows].filter((row) => !row.dataset.base);
    rows.sort((a, b) => compare(key(a, column), key(b, column), sign));
    body.append(...rows);
    return [body, key(rows[0], column)];
  });
  bodies.sort((a, b) => compare(a[1], b[1], sign));
  table.append(...bodies.map(([body]) => body));
};
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const next = now === first ? other : first;
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      sortTable(table, column, next === "ascending" ? 1 : -1);
    });
  });
}
