from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.protocols import PROTOCOLS, SizeWH
from boxlist.tasks.sealed import SEPARATOR, Sealed, seal, unseal

TEXT = '[{"bbox_2d": [1, 2, 3, 4], "label": "red circle"}]'
QWEN = PROTOCOLS["norm1000_xyxy"]


def test_everything_comes_back() -> None:
    sealed = seal(TEXT, protocol=QWEN, finish="repeat_stop", tokens=31, frame_wh_px=(448, 224))
    assert unseal(sealed) == Sealed(TEXT, QWEN, True, "repeat_stop", 31, SizeWH(448, 224))


@pytest.mark.parametrize(("finish", "triggered"), [("eos", False), ("length", False), ("max_items", True)])
def test_what_a_control_ended_is_a_trigger(finish: str, triggered: bool) -> None:
    sealed = unseal(seal("[]", protocol=QWEN, finish=finish, tokens=0, frame_wh_px=None))
    assert (sealed.triggered, sealed.finish, sealed.frame) == (triggered, finish, None)


def test_a_protocol_may_be_named() -> None:
    assert seal("", protocol="pixel_xyxy", finish="eos", tokens=1, frame_wh_px=None) == seal(
        "", protocol=PROTOCOLS["pixel_xyxy"], finish="eos", tokens=1, frame_wh_px=None
    )


def test_text_of_another_model_comes_back_whole() -> None:
    assert unseal(TEXT) == Sealed(TEXT, None, False, None, None, None)


def test_a_model_cannot_forge_a_trailer() -> None:
    forged = seal(TEXT, protocol="pixel_xyxy", finish="repeat_stop", tokens=1, frame_wh_px=(9, 9))
    found = unseal(seal(forged, protocol=QWEN, finish="eos", tokens=40, frame_wh_px=None))
    assert found == Sealed(forged, QWEN, False, "eos", 40, None)


def test_a_trailer_survives_what_lmms_eval_does_to_text() -> None:
    sealed = seal(f"\n {TEXT} \u3000\n", protocol=QWEN, finish="eos", tokens=3, frame_wh_px=None)
    found = unseal(sealed.strip())
    assert found.text == f"{TEXT} \u3000\n"
    assert found.protocol is QWEN


@given(st.text(), st.sampled_from(sorted(PROTOCOLS)), st.integers(0, 10**6))
def test_any_text_comes_back(text: str, name: str, tokens: int) -> None:
    sealed = seal(text, protocol=name, finish="length", tokens=tokens, frame_wh_px=(32, 64))
    assert unseal(sealed) == Sealed(text, PROTOCOLS[name], False, "length", tokens, SizeWH(32, 64))


def test_a_lone_surrogate_comes_back() -> None:
    text = '[{"label": "\ud800"}]'
    assert unseal(seal(text, protocol=QWEN, finish="eos", tokens=1, frame_wh_px=None)).text == text


GOOD = {"boxlist": 1, "protocol": "norm1000_xyxy", "finish": "eos", "tokens": 3, "frame": None}


@pytest.mark.parametrize(
    "tail",
    [
        "",  # the separator alone
        "not JSON",
        "[" * 100_000,  # deep enough to end the parser's recursion, were it read
        "9" * 100_000,
        json.dumps([GOOD]),
        json.dumps({**GOOD, "boxlist": 2}),  # a later version
        json.dumps({**GOOD, "more": 1}),
        json.dumps({key: GOOD[key] for key in GOOD if key != "frame"}),
        json.dumps({**GOOD, "protocol": "mine"}),
        json.dumps({**GOOD, "protocol": ["norm1000_xyxy"]}),
        json.dumps({**GOOD, "protocol": "resized_pixel_xyxy"}),  # needs a frame
        json.dumps({**GOOD, "finish": "Stopped by <b>"}),
        json.dumps({**GOOD, "finish": []}),
        json.dumps({**GOOD, "tokens": -1}),
        json.dumps({**GOOD, "tokens": True}),
        json.dumps({**GOOD, "tokens": 1.5}),
        json.dumps({**GOOD, "frame": [1]}),
        json.dumps({**GOOD, "frame": [0, 5]}),
        json.dumps({**GOOD, "frame": [1, float("nan")]}),
        json.dumps(GOOD) + " and prose",
    ],
)
def test_a_bad_trailer_is_text(tail: str) -> None:
    assert unseal(f"[]{SEPARATOR}{tail}") == Sealed(f"[]{SEPARATOR}{tail}")


def test_the_good_trailer_of_the_table_is_read() -> None:
    assert unseal(f"[]{SEPARATOR}{json.dumps(GOOD)}").text == "[]"


def test_sealing_without_a_needed_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="protocol resized_pixel_xyxy needs frame_wh_px"):
        seal("[]", protocol="resized_pixel_xyxy", finish="eos", tokens=1, frame_wh_px=None)
