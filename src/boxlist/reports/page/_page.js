"use strict";
// Shows the answers of one view: its panels and boxes, in its own order, worst first. Toggles are the style's matter.
const view = document.getElementById("view");
const plates = document.getElementById("plates");
const show = () => {
  const chosen = view.value;
  plates.classList.toggle("no-boxes", view.selectedOptions[0].dataset.boxes === "no");
  const ranked = [];
  for (const plate of plates.children) {
    let rank = null;
    for (const part of plate.querySelectorAll("[data-view]")) {
      const here = part.dataset.view === chosen;
      part.toggleAttribute("hidden", !here);
      if (here && part.dataset.rank !== undefined) rank = Number(part.dataset.rank);
    }
    plate.hidden = rank === null;
    ranked.push([rank ?? Infinity, plate]);
  }
  ranked.sort((a, b) => (a[0] === b[0] ? 0 : a[0] - b[0]));
  plates.append(...ranked.map(([, plate]) => plate));
};
if (view) {
  view.addEventListener("change", show);
  show();
}
