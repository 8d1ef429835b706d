"""What the library has to say: nothing by itself, and each line once where it is shown."""

import errno
import io
import logging
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from replearn.artefacts import locks, workers
from replearn.console import as_shown_here, progress, say, shown, warn
from replearn.errors import ReplearnWarning
from replearn.phantoms.data_folder import write_data_folder

LIBRARY = logging.getLogger("replearn")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def state() -> list[Any]:
    logger = LIBRARY.handlers[:], LIBRARY.level, LIBRARY.propagate
    return [*logger, warnings.filters[:], warnings.showwarning]


def tell(number: int) -> int:
    logging.getLogger("replearn.of.a.worker").info(f"share {number}")
    return number


def test_lines_and_warnings_are_shown_bare_and_in_their_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown():
        logging.getLogger("replearn.some.module").info("100 % of it")
        warn("a  name with two  spaces")
        say("of a stage")
        warnings.warn("of another library, on two\n  lines", UserWarning, stacklevel=1)
        logging.getLogger("elsewhere").info("not ours")
    assert capsys.readouterr() == (
        "",
        "100 % of it\n"
        "warning: a  name with two  spaces\n"
        "of a stage\n"
        "warning: of another library, on two lines\n",
    )


@pytest.mark.filterwarnings("error")  # as a user may ask of Python
def test_a_warning_that_is_given_again_is_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    with shown():
        for _ in range(3):
            warn("the same")
    assert capsys.readouterr().err == "warning: the same\n" * 3


def test_what_pillow_warns_of_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with shown():
        place: dict[str, Any] = {"filename": "x.py", "lineno": 1, "module": "PIL.TiffImagePlugin"}
        warnings.warn_explicit("Truncated File Read", UserWarning, **place)
    assert capsys.readouterr().err == ""


def test_lines_are_shown_once_whoever_else_listens(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with shown(), shown():
        say("once")
        with shown():
            say("twice")
    assert capsys.readouterr().err == "once\ntwice\n"
    assert caplog.text == "", "a handler of the root would have printed it too"


def test_everything_is_afterwards_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    before = state()
    with suppress(KeyError), shown():
        assert state() != before
        raise KeyError
    assert state() == before
    say("not to be seen")
    assert capsys.readouterr() == ("", "")


def test_a_user_gets_the_lines_by_logging_and_the_warnings_by_warnings(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, "replearn")
    say("a line")
    assert caplog.record_tuples == [("replearn", logging.INFO, "a line")]
    with pytest.warns(ReplearnWarning, match=r"^a warning$"):
        warn("a warning")
    assert issubclass(ReplearnWarning, UserWarning)
    assert capsys.readouterr() == ("", "")


def test_a_warning_names_the_line_that_called_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    locks._warn_once.cache_clear()
    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.warns(ReplearnWarning) as given:  # behind layers of `contextlib`
        write_data_folder(tmp_path / "data", count=10, size=16)
    assert [warning.filename for warning in given] == [__file__]


def test_progress_is_shown_only_where_it_is_asked_for_and_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert progress(total=1).disable
    with shown():
        assert progress(total=1).disable
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress(total=1).disable
    with shown():
        bar = progress(total=1)
        assert not bar.disable
        bar.close()
    assert list(progress(range(3))) == [0, 1, 2]


def test_other_processes_show_what_this_one_shows(capfd: pytest.CaptureFixture[str]) -> None:
    assert as_shown_here(tell) is tell
    assert sorted(workers.run(tell, range(3), jobs=2)) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")
    with shown():
        assert sorted(workers.run(tell, range(3), jobs=2)) == [0, 1, 2]
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == ["share 0", "share 1", "share 2"]
