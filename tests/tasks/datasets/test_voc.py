from __future__ import annotations

import pytest

from boxlist.errors import InputError
from boxlist.tasks.datasets.voc import VocFile, VocObject, read_voc


def box(x1: object = 1, y1: object = 2, x2: object = 30, y2: object = 40, name: str = "Tree") -> str:
    corners = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
    return f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>"


def voc(*objects: str, head: str = "", size: str = "<size><width>80</width><height>60</height></size>") -> bytes:
    return f"{head}<annotation>{size}{''.join(objects)}</annotation>".encode()


def test_objects_in_order() -> None:
    data = voc(box(), "<segmented>0</segmented>", box("5.5", 6, 7, "8.25", "Dead &amp; gone"))
    expected = (VocObject("Tree", (1, 2, 30, 40)), VocObject("Dead & gone", (5.5, 6, 7, 8.25)))
    assert read_voc(data, "a.xml") == VocFile((80, 60), expected)


def test_no_objects() -> None:
    assert read_voc(voc(), "a.xml").objects == ()


def test_the_name_of_a_part_is_not_the_name_of_the_object() -> None:
    part = "<part><name>crown</name><bndbox><xmin>7</xmin></bndbox></part>"
    data = voc(box().replace("</object>", part + "</object>"))
    assert read_voc(data, "a.xml").objects == (VocObject("Tree", (1, 2, 30, 40)),)


BOMB = '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (voc(box(name="&y;"), head=BOMB), "a.xml: expected XML without a document type, got a DOCTYPE"),
        (voc(head='<!DOCTYPE a SYSTEM "http://x/y.dtd">'), "a.xml: expected XML without a document type"),
        (voc(box(name="&undeclared;")), "a.xml: expected well-formed XML, got undefined entity: line 1"),
        (voc(box())[:-5], "a.xml: expected well-formed XML, got unclosed token"),
        (b"", "a.xml: expected well-formed XML, got no element found"),
        (b"<a>" * 5000, "a.xml: expected at most 16 nested elements, got more"),
        (voc(box("one")), "a.xml: object 1, xmin: expected a finite number, got 'one'"),
        (voc(box(), box(y2="nan")), "a.xml: object 2, ymax: expected a finite number, got 'nan'"),
        (voc(box(y2="inf")), "a.xml: object 1, ymax: expected a finite number, got 'inf'"),
        (voc("<object><name>Tree</name></object>"), "a.xml: object 1, xmin: expected a finite number, got nothing"),
        (voc(box(x2=1)), "a.xml: object 1: expected xmin < xmax and ymin < ymax, got 1 2 1 40"),
        (voc(size=""), "a.xml: size, width: expected a finite number, got nothing"),
        (b" " * (16 * 2**20 + 1), "a.xml: expected at most 16777216 bytes, got 16777217"),
    ],
)
def test_what_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_voc(data, "a.xml")
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("Fix the file.")
