"""The profile: where the cloud of this machine listens and who may use it.

`reddog up` writes it; the SDK and the command line read it, so that programs reach the local cloud without
being told its host.  It names files, it holds no secret itself.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs

ENVIRONMENT_VARIABLE = "REDDOG_PROFILE"
"""Environment variable that names another profile file."""


class ProfileError(ValueError):
    """The profile file cannot be read or does not say what it has to."""


@dataclass(frozen=True)
class Profile:
    """One running cloud, as its users need to know it.

    management_host: "host:port" of the management endpoint.
    subscription_id: the subscription that `certificate` may manage.
    certificate: path of the management certificate with its key (.pem).
    ca_certificate: path of the certificate authority that signed the server's certificate.
    storage_domain: suffix of the blob, table and queue host names, with a port if it is not the usual one.
    data_dir: the directory that holds the cloud's state.
    """

    management_host: str
    subscription_id: str
    certificate: str
    ca_certificate: str
    storage_domain: str
    data_dir: str


def profile_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the profile: REDDOG_PROFILE if it is set, else profile.json in the user's configuration."""
    named = environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_config_dir("reddog")) / "profile.json"


def read_profile(path: Path | None = None) -> Profile | None:
    """Read the profile at `path` (default: `profile_path()`); None when there is none.

    Raises ProfileError when the file is unreadable, is not JSON, or lacks an entry.
    """
    path = path or profile_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"The profile {path} cannot be read: {error}. {_REMEDY}") from error
    try:
        return _from_json(json.loads(text))
    except ValueError as error:
        raise ProfileError(f"The profile {path} is damaged: {error}. {_REMEDY}") from error


_REMEDY = "Remove the file and run `reddog up`, which writes it anew."


def _from_json(document: Any) -> Profile:
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    names = [field.name for field in fields(Profile)]
    for name in names:
        if not isinstance(document.get(name), str):
            raise ValueError(f"it has no text for {name!r}")
    return Profile(**{name: document[name] for name in names})


def write_profile(profile: Profile, path: Path | None = None) -> Path:
    """Write the profile in one step, readable by the user alone (0600), and return its path."""
    path = path or profile_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(prefix=".profile-", dir=path.parent)  # created 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(profile), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def remove_profile(data_dir: str, path: Path | None = None) -> bool:
    """Remove the profile if it is the one of the cloud in `data_dir`; say whether it was removed."""
    path = path or profile_path()
    try:
        profile = read_profile(path)
    except ProfileError:
        return False
    if profile is None or profile.data_dir != data_dir:
        return False
    path.unlink(missing_ok=True)
    return True
