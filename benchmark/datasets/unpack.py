"""Unpacking archives that nobody here has looked at.

Refused as a whole: members outside the folder (`..`, absolute paths, drive letters), links out of it, devices, and
archives that grow beyond what sound and annotations can. No link is ever made on disk: one that points inside becomes a
copy.
"""

import errno
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from benchmark.datasets.transfer import check_space
from benchmark.datasets.unpack_extra import SUFFIXES as _EXTRA_SUFFIXES
from benchmark.datasets.unpack_extra import unpack_7z, unpack_rar
from benchmark.datasets.unpack_rules import CHUNK, DamagedArchive, Limit, inside, write_member
from benchmark.errors import UserError

_ZIP_SUFFIXES = (".zip", ".whl")
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_SUFFIXES = (*_ZIP_SUFFIXES, *_TAR_SUFFIXES, *_EXTRA_SUFFIXES)
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)


def is_archive(name: str) -> bool:
    """Whether `unpack` knows this kind of file, by its name."""
    return name.lower().endswith(_SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip, a (compressed) tar, a 7z or a RAR into `folder`, which may hold other things already.

    On an error `folder` may hold a part of the files: unpack into a folder that is thrown away then.

    Raises:
        DamagedArchive: it is damaged, cut short, or of another kind than its name says.
        UserError: it holds something that is refused, or does not fit on the disk.
    """
    if not is_archive(archive.name):
        raise UserError(f"{archive}: cannot be unpacked here (known: {', '.join(_SUFFIXES)}); unpack it by hand")
    folder.mkdir(parents=True, exist_ok=True)
    name = archive.name.lower()
    kind = _unpack_zip if name.endswith(_ZIP_SUFFIXES) else _KINDS.get(Path(name).suffix, _unpack_tar)
    try:
        kind(archive, folder, Limit(archive))
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedArchive(f"{archive}: damaged or cut short ({reason}); delete it and run the same again") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"{archive}: no space left while unpacking; free some and run the same again") from None
        if error.errno in {None, errno.EINVAL, errno.EIO}:
            # bz2 and gzip report damage as plain OSErrors.
            raise DamagedArchive(
                f"{archive}: damaged or cut short ({error}); delete it and run the same again"
            ) from None
        if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG}:
            raise UserError(f"{archive}: holds names that cannot be files beside each other ({error})") from None
        raise


def _unpack_zip(archive: Path, folder: Path, limit: Limit) -> None:
    with zipfile.ZipFile(archive) as file:
        members = [(member, inside(member.filename, archive)) for member in file.infolist()]
        total = sum(member.file_size for member, _ in members)
        Limit(archive).take(total)
        check_space(folder, total, archive.name)
        for member, path in members:
            mode = member.external_attr >> 16
            if member.is_dir():
                (folder / path).mkdir(parents=True, exist_ok=True)
            elif stat.S_IFMT(mode) in {0, stat.S_IFREG}:
                with file.open(member) as source:
                    write_member(source, folder / path, limit)
            else:
                raise UserError(f"{archive}: {member.filename!r} is a link or a device: refused; unpack it by hand")


def _unpack_tar(archive: Path, folder: Path, limit: Limit) -> None:
    links: list[tuple[str, PurePosixPath, PurePosixPath]] = []
    with tarfile.open(archive, "r:*") as file:
        for member in file:
            path = inside(member.name, archive)
            if member.isdir():
                (folder / path).mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                check_space(folder, member.size, archive.name)
                source = file.extractfile(member)
                if source is None:
                    raise tarfile.ReadError(f"{member.name} has no content")
                if write_member(source, folder / path, limit) != member.size:
                    raise tarfile.ReadError("unexpected end of data")
            elif member.issym() or member.islnk():
                base = path.parent if member.issym() else PurePosixPath()
                links.append((member.name, path, inside(str(_lexical(base, member.linkname, archive)), archive)))
            else:
                raise UserError(f"{archive}: {member.name!r} is a device: refused; unpack it by hand")
        _check_end(file, archive, limit)
    for name, path, target in links:
        source = folder / target
        if not source.is_file():
            raise UserError(
                f"{archive}: {name!r} is a link to {str(target)!r}, which is no file of it; unpack it by hand"
            )
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if source != folder / path:
            with source.open("rb") as content:
                write_member(content, folder / path, limit)


def _check_end(file: tarfile.TarFile, archive: Path, limit: Limit) -> None:
    """See that the archive has its end: tarfile takes one that is cut between two members for whole."""
    stream: IO[bytes] = file.fileobj  # type: ignore[assignment]
    if archive.name.lower().endswith(".tar"):
        stream.seek(file.offset)
        if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("unexpected end of data")
        return
    # Compressed: their own end marks are checked when all is read.
    while chunk := stream.read(CHUNK):
        limit.take(len(chunk))


def _lexical(base: PurePosixPath, target: str, archive: Path) -> PurePosixPath:
    """Where a link leads, seen from the top of the archive."""
    if PurePosixPath(target).is_absolute():
        raise UserError(f"{archive}: holds a link to {target!r}, out of its folder: refused; do not trust this file")
    return PurePosixPath(os.path.normpath(str(base / target)))


_KINDS = {".7z": unpack_7z, ".rar": unpack_rar}


def swap_in(made: Path, place: Path) -> None:
    """Put the finished folder `made` in the place of `place`, which may exist.

    A kill between the two renames leaves no `place`, so that nothing half-made is ever found there.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.replace(old)
    made.replace(place)
    shutil.rmtree(old, ignore_errors=True)
