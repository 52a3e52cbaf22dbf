"""Which host to talk to when the program does not say, and whom to trust there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from reddog.profile import Profile, ProfileError, profile_path, read_profile

from .constants import AZURE_MANAGEMENT_CA, AZURE_MANAGEMENT_HOST, MANAGEMENT_HOST


class _DefaultHost(str):
    """A default that equals the public host yet can be told from a host that the caller gave."""

    __slots__ = ()


DEFAULT_HOST = _DefaultHost(MANAGEMENT_HOST)


@dataclass(frozen=True)
class Endpoint:
    """A resolved host, the authorities to trust besides the usual ones, and its profile if it has one."""

    host: str
    ca_files: tuple[str, ...] = ()
    profile: Profile | None = None


def resolve(host: str, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Resolve `host`: a given one stays; else AZURE_MANAGEMENT_HOST, the profile, the public host, in order.

    Raises reddog.profile.ProfileError when the profile has to decide and is damaged.
    """
    given = environ.get(AZURE_MANAGEMENT_HOST) if isinstance(host, _DefaultHost) else host
    profile = _profile(environ, needed=not given)
    resolved = given or (profile.management_host if profile else MANAGEMENT_HOST)
    if profile is not None and profile.management_host != resolved:
        profile = None
    return Endpoint(resolved, _ca_files(environ, profile), profile)


def _profile(environ: Mapping[str, str], *, needed: bool) -> Profile | None:
    try:
        return read_profile(profile_path(environ))
    except ProfileError:
        if needed:
            raise
        return None


def _ca_files(environ: Mapping[str, str], profile: Profile | None) -> tuple[str, ...]:
    named = environ.get(AZURE_MANAGEMENT_CA)
    return tuple(filter(None, (named, profile.ca_certificate if profile else None)))
