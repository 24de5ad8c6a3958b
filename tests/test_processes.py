"""Who does what among processes: here one by itself, and one of two with what the other says made up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import BoxlistError, InputError
from boxlist.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable

FAULT = InputError("here", expected="one", got="none", remedy="Give one.")


def fail() -> Any:
    raise FAULT


def heard(monkeypatch: pytest.MonkeyPatch, said: Callable[[Any], list[Any]]) -> None:
    """What a process says becomes `said(it)` for the talk of all; of the first, the first of them."""
    monkeypatch.setattr("accelerate.utils.gather_object", lambda value: said(value[0]))
    monkeypatch.setattr("accelerate.utils.broadcast_object_list", lambda value: said(value[0])[:1])


def test_a_process_by_itself_asks_nobody() -> None:
    alone = Processes()
    assert alone.first(lambda: 3) == 3
    assert alone.each(lambda: 4) == 4
    assert alone.any(True)
    assert not alone.any(False)
    for ask in (alone.first, alone.each):
        with pytest.raises(InputError, match="here: expected one, got none"):
            ask(fail)
    with pytest.raises(InputError), alone.one_voice():
        fail()


def test_what_the_first_finds_is_what_the_others_get(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch, lambda _: [("found",), None])
    assert Processes(1, 2).first(fail) == "found", "it does not do the work itself"


def test_where_the_first_fails_the_others_exit_and_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def note(value: Any) -> list[Any]:
        told.append(value)
        return [None]

    heard(monkeypatch, note)
    with pytest.raises(InputError):
        Processes(0, 2).first(fail)
    assert told == [None]
    with pytest.raises(SystemExit) as left:
        Processes(1, 2).first(lambda: 1)
    assert left.value.code == 0


def test_a_fault_of_one_is_a_fault_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch, lambda value: [value, FAULT])
    with pytest.raises(InputError, match="here: expected one"):
        Processes(0, 2).each(lambda: 1)
    heard(monkeypatch, lambda value: [value, None])
    assert Processes(0, 2).each(lambda: 1) == 1


def test_what_holds_for_one_holds_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch, lambda value: [value, True])
    assert Processes(0, 2).any(False)
    heard(monkeypatch, lambda value: [value, False])
    assert not Processes(0, 2).any(False)


@pytest.mark.parametrize("error", [BoxlistError("bad"), KeyboardInterrupt()])
def test_only_the_first_says_how_all_of_them_end(error: BaseException) -> None:
    with pytest.raises(type(error)), Processes(0, 2).one_voice():
        raise error
    with pytest.raises(SystemExit), Processes(1, 2).one_voice():
        raise error
    with pytest.raises(ZeroDivisionError), Processes(1, 2).one_voice():  # what nobody expected is for all to say
        raise ZeroDivisionError
