"""7z and RAR archives, by the libraries of the extra `archives`; RAR also needs a program that can read what is compressed."""

from pathlib import Path, PurePosixPath
from typing import Any

from benchmark.datasets.transfer import check_space
from benchmark.datasets.unpack_rules import DamagedArchive, Limit, inside, write_member
from benchmark.errors import UserError

SUFFIXES = (".7z", ".rar")


def unpack_7z(archive: Path, folder: Path, limit: Limit) -> None:
    """Unpack a 7z archive, each member through a counting writer."""
    py7zr = _library("py7zr", archive)
    try:
        with py7zr.SevenZipFile(archive) as file:
            members = [(member, inside(member.filename, archive)) for member in file.list()]
            for member, path in members:
                if member.is_directory:
                    (folder / path).mkdir(parents=True, exist_ok=True)
                elif not member.is_file:
                    raise _refused(archive, member.filename)
            total = sum(member.uncompressed for member, _ in members)
            Limit(archive).take(total)
            check_space(folder, total, archive.name)
            file.extractall(factory=_writers(py7zr.io, archive, folder, limit))
    except py7zr.exceptions.PasswordRequired:
        raise UserError(f"{archive}: is encrypted; unpack it by hand") from None
    except (py7zr.exceptions.ArchiveError, AssertionError, IndexError, KeyError, TypeError, ValueError) as error:
        # What is read from a damaged header is anything.
        raise _damaged(archive, error) from None


def _writers(io: Any, archive: Path, folder: Path, limit: Limit) -> Any:
    """Gives the library a file for each member, which takes no more than the limit."""

    class Writer(io.Py7zIO):
        def __init__(self, path: Path) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w+b")

        def write(self, s: bytes | bytearray) -> int:
            limit.take(len(s))
            return self._file.write(s)

        def read(self, size: int | None = None) -> bytes:
            return self._file.read(-1 if size is None else size)

        def seek(self, offset: int, whence: int = 0) -> int:
            return self._file.seek(offset, whence)

        def flush(self) -> None:
            self._file.flush()

        def size(self) -> int:
            return self._file.seek(0, 2)

        def close(self) -> None:
            self._file.close()

    class Writers(io.WriterFactory):
        def create(self, filename: str) -> Any:
            return Writer(folder / inside(filename, archive))

    return Writers()


def unpack_rar(archive: Path, folder: Path, limit: Limit) -> None:
    """Unpack a RAR archive of one volume."""
    rarfile = _library("rarfile", archive)
    ends: list[bool] = []
    try:
        # The library takes an archive that is cut between two members for whole.
        with rarfile.RarFile(
            archive, errors="strict", info_callback=lambda header: ends.append(header.type == rarfile.RAR_BLOCK_ENDARC)
        ) as file:
            if not any(ends):
                raise _damaged(archive, "unexpected end of data")
            members = [(member, inside(member.filename, archive)) for member in file.infolist()]
            total = sum(member.file_size for member, _ in members)
            Limit(archive).take(total)
            check_space(folder, total, archive.name)
            for member, path in members:
                _take(file, member, archive, folder / path, limit)
    except rarfile.RarCannotExec:
        raise UserError(
            f"{archive}: needs a program that reads RAR: unrar, unar or 7z; install one (apt install unar), or "
            "unpack it by hand"
        ) from None
    except rarfile.Error as error:
        raise _damaged(archive, error) from None


def _take(file: Any, member: Any, archive: Path, path: Path, limit: Limit) -> None:
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    if member.needs_password():
        raise UserError(f"{archive}: is encrypted; unpack it by hand")
    if not member.is_file() or member.file_redir:
        raise _refused(archive, member.filename)
    with file.open(member) as source:
        if write_member(source, path, limit) != member.file_size:
            raise _damaged(archive, "unexpected end of data")


def _library(name: str, archive: Path) -> Any:
    try:
        library = __import__(name)
    except ImportError:
        raise UserError(
            f"{archive}: {PurePosixPath(archive.name).suffix} needs the package {name}; "
            "pip install 'leveret[archives]', or unpack it by hand"
        ) from None
    if name == "py7zr":
        __import__("py7zr.exceptions")
        __import__("py7zr.io")
    return library


def _refused(archive: Path, name: str) -> UserError:
    return UserError(f"{archive}: {name!r} is a link or a device: refused; unpack it by hand")


def _damaged(archive: Path, error: object) -> DamagedArchive:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DamagedArchive(f"{archive}: damaged or cut short ({reason}); delete it and run the same again")
