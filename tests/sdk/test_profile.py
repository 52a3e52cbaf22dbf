"""The profile file, and how the SDK finds its host, subscription, certificate and authority with it."""

from __future__ import annotations

import json
import stat
import threading

import pytest

from reddog.profile import Profile, ProfileError, profile_path, read_profile, remove_profile, write_profile


@pytest.fixture
def profile(tmp_path):
    return Profile(
        "127.0.0.1:1234", "sub", "/c.pem", "/ca.pem", "blob.core.localhost:1", str(tmp_path / "data")
    )


def test_a_profile_is_read_as_it_was_written(profile, tmp_path):
    path = write_profile(profile, tmp_path / "deep" / "profile.json")
    assert read_profile(path) == profile


def test_a_profile_is_for_the_user_alone(profile, tmp_path):
    path = write_profile(profile, tmp_path / "profile.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["profile.json"]


def test_the_environment_names_another_profile(tmp_path):
    assert profile_path({"REDDOG_PROFILE": str(tmp_path / "p")}) == tmp_path / "p"
    assert profile_path({}).name == "profile.json"


def test_no_profile_is_none(tmp_path):
    assert read_profile(tmp_path / "nothing.json") is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"management_host": 1}', "\x00", '"text"'])
def test_a_damaged_profile_says_what_to_do(tmp_path, text):
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(ProfileError, match=r"reddog up"):
        read_profile(path)


def test_entries_of_later_releases_are_ignored(profile, tmp_path):
    path = write_profile(profile, tmp_path / "profile.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "red"}))
    assert read_profile(path) == profile


def test_a_cloud_removes_its_own_profile_only(profile, tmp_path):
    path = write_profile(profile, tmp_path / "profile.json")
    assert not remove_profile("/elsewhere", path)
    assert path.exists()
    assert remove_profile(profile.data_dir, path)
    assert not path.exists()
    assert not remove_profile(profile.data_dir, path)


def test_readers_never_see_half_a_profile(profile, tmp_path):
    path = write_profile(profile, tmp_path / "profile.json")
    done = threading.Event()

    def write():
        for number in range(50):
            write_profile(Profile(f"h:{number}", *(["x" * 5000] * 5)), path)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert read_profile(path) is not None
    writer.join()
