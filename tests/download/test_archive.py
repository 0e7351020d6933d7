"""Archives in parts: whole, damaged, dangerous and half unpacked ones."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from helpers.archives import FILES, packed, parts

from earmark.download import archive
from earmark.download.archive import ArchiveError, Joined, parts_of, unpack
from earmark.errors import explained


def test_parts_read_as_one_file(tmp_path):
    data = packed()
    with io.BufferedReader(Joined(parts(tmp_path, data))) as whole:
        assert whole.seek(0, io.SEEK_END) == len(data)
        for place in (0, len(data) // 3 - 5, len(data) - 7):
            whole.seek(place)
            assert whole.read(50) == data[place : place + 50]


def test_everything_is_unpacked_and_a_second_run_writes_nothing(tmp_path):
    found = parts(tmp_path, packed(compression=zipfile.ZIP_DEFLATED))
    assert unpack(found, tmp_path / "audio") == {"written": 6, "kept": 0}
    for name, data in FILES.items():
        assert (tmp_path / "audio" / name).read_bytes() == data
    assert unpack(found, tmp_path / "audio") == {"written": 0, "kept": 6}


def test_a_stopped_run_goes_on_and_a_damaged_file_is_written_again(tmp_path):
    found = parts(tmp_path, packed())
    unpack(found, tmp_path / "audio")
    names = [tmp_path / "audio" / name for name in FILES]
    names[0].unlink()
    names[1].write_bytes(names[1].read_bytes()[:-1] + b"?")
    names[2].write_bytes(b"short")
    assert unpack(found, tmp_path / "audio") == {"written": 3, "kept": 3}
    assert [path.read_bytes() for path in names] == list(FILES.values())


@pytest.mark.parametrize(
    "name", ["../outside.mp3", "/etc/outside.mp3", "a/../../outside.mp3", "a\\..\\b.mp3", "C:/x.mp3"]
)
def test_a_name_that_leaves_the_target_is_refused_before_anything_is_written(tmp_path, name):
    found = parts(tmp_path, packed({"0/fine.mp3": b"x" * 99, name: b"x"}))
    with pytest.raises(ArchiveError, match="would leave the target folder"):
        unpack(found, tmp_path / "audio")
    assert not (tmp_path / "audio").exists()


def test_a_link_is_refused(tmp_path):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as content:
        link = zipfile.ZipInfo("0/link.mp3")
        link.external_attr = 0o120777 << 16
        content.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match="is a link"):
        unpack(parts(tmp_path, held.getvalue()), tmp_path / "audio")


def test_a_bomb_is_refused(tmp_path):
    found = parts(tmp_path, packed({"0/bomb.mp3": bytes(10_000_000)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(ArchiveError, match="would unpack to 10000000 bytes from"):
        unpack(found, tmp_path / "audio")
    assert not (tmp_path / "audio").exists()


def test_a_missing_part_is_named(tmp_path):
    found = parts(tmp_path, packed())
    found[1].unlink()
    with pytest.raises(ArchiveError, match=r"mp3\.zip\.002 is missing, 2 parts are there"):
        parts_of(found[0])
    found[2].unlink()
    with pytest.raises(ArchiveError, match="a part is missing, cut short or damaged"):
        unpack(parts_of(found[0]), tmp_path / "audio")
    with pytest.raises(ArchiveError, match="does not exist"):
        parts_of(tmp_path / "other.zip.001")


def test_a_damaged_byte_is_found_by_the_crc_and_what_was_good_stays(tmp_path):
    data = bytearray(packed())
    data[data.index(FILES["4/clip 4 'quoted'.mp3"][:64]) + 100] ^= 1
    with pytest.raises(ArchiveError, match='Bad CRC-32 for file "4/clip 4'):
        unpack(parts(tmp_path, bytes(data)), tmp_path / "audio")
    left = sorted(p.relative_to(tmp_path / "audio").as_posix() for p in (tmp_path / "audio").rglob("*") if p.is_file())
    assert left == sorted(FILES)[:4]


def test_a_full_disk_is_named_and_nothing_is_left_half_written(tmp_path, monkeypatch):
    found = parts(tmp_path, packed())
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ArchiveError, match="has room for 1000"):
        unpack(found, tmp_path / "audio")
    monkeypatch.undo()
    real, count = archive.shutil.copyfileobj, iter(range(100))

    def full(source, file, block):
        if next(count) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        real(source, file, block)

    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    with pytest.raises(ArchiveError, match=r"No space left on device; .*; what was unpacked stays"):
        unpack(found, tmp_path / "audio")
    monkeypatch.undo()
    assert len([p for p in (tmp_path / "audio").rglob("*") if p.is_file()]) == 2
    assert unpack(found, tmp_path / "audio") == {"written": 4, "kept": 2}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_bytes_are_told_whatever_the_compression_and_what_was_good_stays(tmp_path, method):
    """Sixty bytes of one member are damaged in turn: the decompressors raise different errors at different places."""
    name = "1/clip 1 'quoted'.mp3"
    plain = {**FILES, name: np.random.default_rng(9).integers(0, 16, 3000, np.uint8).tobytes()}
    data = packed(plain, method)
    with zipfile.ZipFile(io.BytesIO(data)) as content:
        member = content.getinfo(name)
    start = member.header_offset + 30 + len(member.filename.encode())
    told: list[str] = []
    for number, place in enumerate(range(start, start + member.compress_size, member.compress_size // 60)):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        (tmp_path / "mp3.zip.001").write_bytes(damaged)
        target = tmp_path / f"audio{number}"
        try:
            unpack([tmp_path / "mp3.zip.001"], target)
            assert (target / name).read_bytes() == plain[name]  # a byte that does not matter: LZMA's version
        except ArchiveError as error:
            told.append(str(error))
        left = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
        assert left in ({sorted(FILES)[0]}, set(FILES))
    assert len(told) > 50
    assert all("damaged: fetch it again" in text for text in told)


def test_an_archive_cut_short_is_told_wherever_it_ends(tmp_path):
    data = packed()
    for share in (0, 1, 21, len(data) // 2, len(data) - 30, len(data) - 1):
        (tmp_path / "mp3.zip.001").write_bytes(data[:share])
        with pytest.raises(ArchiveError, match="a part is missing, cut short or damaged"):
            unpack([tmp_path / "mp3.zip.001"], tmp_path / "audio")


def with_field(data, offset, value):
    """Return the zip ``data`` with another two-byte value in the directory's entry of the first member."""
    place = data.index(b"PK\x01\x02") + offset
    return data[:place] + value.to_bytes(2, "little") + data[place + 2 :]


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, 1, "is encrypted and needs a password; nothing was unpacked"),
        (10, 97, "is compressed by method 97, known are 0, 8, 12, 14; nothing was unpacked"),
        (6, 99, "zip file version 9.9; this archive cannot be unpacked here"),
    ],
)
def test_what_python_cannot_unpack_is_told_before_anything_is_written(tmp_path, offset, value, message):
    (tmp_path / "mp3.zip.001").write_bytes(with_field(packed(), offset, value))
    with pytest.raises(ArchiveError, match=message):
        unpack([tmp_path / "mp3.zip.001"], tmp_path / "audio")
    assert not (tmp_path / "audio").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_stand_in_each_others_way_are_told(tmp_path):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as content:
        content.writestr("0/a.mp3", "one")
        content.writestr("0/a.mp3", "two")
    (tmp_path / "x.zip").write_bytes(held.getvalue())
    with pytest.raises(ArchiveError, match=r"'0/a\.mp3' is in it twice; nothing was unpacked"):
        unpack([tmp_path / "x.zip"], tmp_path / "audio")
    (tmp_path / "x.zip").write_bytes(packed({"0/a.mp3": b"one", "0//./a.mp3": b"two"}))
    with pytest.raises(ArchiveError, match=r"'0/a\.mp3' is in it twice; nothing was unpacked"):
        unpack([tmp_path / "x.zip"], tmp_path / "audio")
    (tmp_path / "x.zip").write_bytes(packed({"a.mp3.part": b"one", "a.mp3": b"two"}))
    with pytest.raises(ArchiveError, match=r"'a\.mp3\.part' is in it, where .*; nothing was unpacked"):
        unpack([tmp_path / "x.zip"], tmp_path / "audio")
    (tmp_path / "x.zip").write_bytes(packed({"0": b"a file", "0/a.mp3": b"below it"}))
    with pytest.raises(ArchiveError, match="a file stands where a folder is expected; what was unpacked stays"):
        unpack([tmp_path / "x.zip"], tmp_path / "audio")
    (tmp_path / "x.zip").write_bytes(packed({"./": b"", ".": b"no name"}))
    with pytest.raises(ArchiveError, match=r"'\.' would leave the target folder"):
        unpack([tmp_path / "x.zip"], tmp_path / "other")


def test_what_a_folder_of_the_target_cannot_take_is_told(tmp_path):
    (tmp_path / "audio").touch()
    with pytest.raises(SystemExit), explained():
        unpack(parts(tmp_path, packed()), tmp_path / "audio")


@pytest.mark.parametrize("link", ["0", "0/a.mp3"])
def test_no_member_is_written_through_a_link_that_lies_in_the_target(tmp_path, link):
    outside, target = tmp_path / "outside", tmp_path / "audio"
    outside.mkdir()
    (target / link).parent.mkdir(parents=True)
    (target / link).symlink_to(outside if link == "0" else outside / "a.mp3")
    (tmp_path / "x.zip").write_bytes(packed({"b.mp3": b"first", "0/a.mp3": b"written"}))
    with pytest.raises(ArchiveError, match=r"'0/a\.mp3' would be written through the link .*; nothing was unpacked"):
        unpack([tmp_path / "x.zip"], target)
    assert not list(outside.iterdir())
    assert not (target / "b.mp3").exists()


def test_a_target_that_is_itself_a_link_is_the_users_choice(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "audio").symlink_to(tmp_path / "disk")
    (tmp_path / "x.zip").write_bytes(packed({"0/a.mp3": b"written"}))
    assert unpack([tmp_path / "x.zip"], tmp_path / "audio")["written"] == 1


def test_a_link_at_the_place_where_a_member_is_written_is_replaced(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/a.mp3.part").symlink_to(tmp_path / "victim")
    (tmp_path / "x.zip").write_bytes(packed({"a.mp3": b"written"}))
    assert unpack([tmp_path / "x.zip"], tmp_path / "audio")["written"] == 1
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "audio/a.mp3").is_symlink()


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 2100 + "b"])
def test_a_name_that_no_file_system_takes_is_told(tmp_path, name):
    (tmp_path / "x.zip").write_bytes(packed({name: b"1"}))
    with pytest.raises(ArchiveError, match=r"x\.zip: .*: File name too long"):
        unpack([tmp_path / "x.zip"], tmp_path / "audio")
