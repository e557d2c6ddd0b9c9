"""Inside the seal: the first thing this process does is shut itself in; then it calls one stage and answers.

A refusal of the kernel becomes SEAL_DENIED, naming what was asked for. Variables that were dropped are watched: code
that code versions cover and that asks for one is refused by the same code; a library that asks finds it unset.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from assets_data.lineage.processes import end_with_parent
from pipeline_defs.sealed import landlock

_DENIED = re.compile(r"permission denied|errno 13|os error 13|operation not permitted", re.IGNORECASE)
_asked: list[str] = []  # what was opened or connected to last, as Python's audit events say


def main(request_path: str, parent: int) -> None:
    """Read the request, seal, build, answer; the exit status is 0 where there is an answer. ``parent`` forked this."""
    request = json.loads(Path(request_path).read_text())
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel knew
    os.environ |= {"HOME": request["own"], "TMPDIR": request["own"]}
    os.chdir(request["own"])
    _compiled(Path(request["own"]))
    from assets_data.lineage.receipts.code import plugin_folders, take_surroundings  # while all can be seen

    take_surroundings(request["tree"], request["environment"])
    for folder in plugin_folders():
        importlib.import_module(folder.name)
    for room in ("assets_data", "training", "pipeline_defs"):
        importlib.import_module(room)
    _seal(request["rules"])
    sys.addaudithook(_watch)
    os.environ = Watched(os.environ, set(request["dropped"]))  # type: ignore[assignment]  # noqa: B003 - watched, not cleared
    answer = Path(request["own"]) / "answer.json"
    try:
        answer.write_text(json.dumps({"writer": _build(request)}))
    except Exception as error:
        answer.write_text(json.dumps({"error": _coded(error, request)}))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # nothing that was left running may outlive the answer


def _compiled(own: Path) -> None:
    """What Numba has compiled beside covered source, copied to where it may write: it reads no other cache. Like
    Python's own ``.pyc`` there, it counts while the source has the size and time that it was compiled from.
    """
    from pipeline_defs.sealed.rules import covered_folders

    os.environ["NUMBA_CACHE_DIR"] = str(own / "numba")
    importlib.import_module("numba.core.config").reload_config()
    for file in [file for folder in covered_folders() for file in folder.rglob("__pycache__/*.nb[ic]")]:
        source = str(file.parent.parent)
        place = own / "numba" / f"{Path(source).name}_{hashlib.sha1(source.encode()).hexdigest()}"  # as Numba names it
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place / file.name)


def _seal(rules: dict[str, Any]) -> None:
    every = landlock.writable(landlock.abi())
    pairs = [(path, landlock.READ) for name in ("parents", "outside", "system") for path in rules[name]]
    pairs += [(path, landlock.LIST) for path in rules["listed"]]
    pairs += [(path, every) for path in (*rules["own"], *rules["devices"])]
    pairs += [(f"/proc/{os.getpid()}", landlock.READ | landlock.WRITE_FILE)]
    landlock.restrict(pairs, network=rules["network"])


def _build(request: dict[str, Any]) -> dict[str, Any]:
    from assets_data.lineage import Store, from_dict
    from assets_data.lineage.storage.sealing import SHUT_IN, Inside, Written
    from pipeline_defs.catalogue import catalogue

    withdrawing = frozenset(bytes.fromhex(record) for record in request["withdrawing"])
    inside = Inside(request["key"], request["found"], Path(request["into"]))
    SHUT_IN.append(os.getppid())
    store = Store(Path(request["root"]), request["requested"], withdrawing=withdrawing, builder=inside)
    stage = catalogue().stage(request["kind"])
    config = None if request["config"] is None else from_dict(stage.config_type, request["config"])
    inputs = {name: _opened(store, given) for name, given in request["inputs"].items()}
    further = {name: _argument(store, value) for name, value in request["further"].items()}
    try:
        stage.call(store, inputs, config, request["slice_name"], **further)
    except Written as written:
        return dict(written.writer)
    raise RuntimeError("the stage ended without building anything")


def _opened(store: Any, given: Any) -> Any:
    return {name: store.opened(key) for name, key in given.items()} if isinstance(given, dict) else store.opened(given)


def _argument(store: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return store.opened(value["snapshot"]) if "snapshot" in value else Path(value["path"])
    return value


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes):
        _asked.append(os.fsdecode(arguments[0]))
    elif event in ("socket.connect", "socket.bind"):
        _asked.append(f"{event} {arguments[1]}")
    elif event == "socket.__new__":
        _asked.append("a network socket")
    del _asked[:-8]


def _coded(error: BaseException, request: dict[str, Any]) -> dict[str, Any]:
    """The error as it crosses the wall: its own code, or SEAL_DENIED where the kernel refused something."""
    from assets_data.lineage import StemmaError

    chain = list(_chain(error))
    denied = next((one for one in chain if _is_denial(one)), None)
    if denied is not None and not any(isinstance(one, VariableDenied) for one in chain):
        return _denial(_named(denied), request)
    for one in chain:
        if isinstance(one, VariableDenied):
            return _denial(f"the variable {one.args[0]}", request)
    if isinstance(error, StemmaError):
        members = {name: _text(getattr(error, name)) for name in ("expected", "found", "where", "action")}
        return {"class": type(error).__name__, "code": error.code, "what": error.what, **members}
    found = f"{type(error).__name__}: {error}"
    nothing = {"expected": None, "where": None, "action": None}
    return {"class": "DataError", "code": "SEAL_STAGE_FAILED", "what": "the stage failed", "found": found, **nothing}


def _denial(found: str, request: dict[str, Any]) -> dict[str, Any]:
    rules = request["rules"]
    allowed = f"{len(rules['parents'])} parents, {len(rules['outside'])} source files, code and system, own folders"
    return {
        "class": "IntegrityError",
        "code": "SEAL_DENIED",
        "what": "a sealed stage asked for something that no rule allows, and nothing was published",
        "expected": allowed + ("" if rules["network"] else "; no network"),
        "found": found,
        "where": request["kind"],
        "action": "declare it as an input, a source or a setting; or run without --sealed and know what was read",
    }


def _is_denial(error: BaseException) -> bool:
    """A refusal in the words of Python or of a native reader; one says "no such file" of a file that is there."""
    if isinstance(error, FileNotFoundError):
        return os.path.exists(_named(error))
    return isinstance(error, PermissionError) or bool(_DENIED.search(str(error)))


def _named(error: BaseException) -> str:
    """What was refused: the error's own file name, a path in its words, or what was asked for last."""
    if isinstance(error, OSError) and error.filename:
        return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    if match := re.search(r"(?<![\w.])(/[^\s'\":,)]+)", str(error)):
        return match[1]
    return _asked[-1] if _asked and isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _text(value: object) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


class VariableDenied(PermissionError):
    """Covered code asked for a variable that is not on the list."""


class Watched(MutableMapping[str, str]):
    """``os.environ``, without the dropped variables; covered code that asks for one of those is refused."""

    def __init__(self, real: Any, dropped: set[str]) -> None:
        self._real, self._dropped = real, dropped

    def __getitem__(self, name: str) -> str:
        if name in self._dropped and name not in self._real and _asked_by_covered_code():
            raise VariableDenied(name)
        return self._real[name]

    def __contains__(self, name: object) -> bool:
        return name in self._real

    def __setitem__(self, name: str, value: str) -> None:
        self._real[name] = value

    def __delitem__(self, name: str) -> None:
        del self._real[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._real)

    def __len__(self) -> int:
        return len(self._real)

    def copy(self) -> dict[str, str]:
        """A plain copy, as ``os.environ.copy`` gives."""
        return dict(self._real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


_PASSED = (os.__file__, __file__, sys.modules["_collections_abc"].__file__ if "_collections_abc" in sys.modules else "")


def _asked_by_covered_code() -> bool:
    """Whether the first frame that is not the mapping itself is of this project or of a plug-in, and speaks of the
    environment: a compiled library that asks has no frame of its own, and its caller is not to blame.
    """
    from pipeline_defs.sealed.rules import covered_folders

    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in (*_PASSED, "<frozen _collections_abc>", "<frozen os>"):
        frame = frame.f_back
    if frame is None or not {"environ", "getenv"} & set(frame.f_code.co_names):
        return False
    file = Path(frame.f_code.co_filename)
    return any(file.is_relative_to(folder) for folder in covered_folders())
