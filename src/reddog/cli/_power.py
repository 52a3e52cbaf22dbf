"""Switching off the machines of a cloud that no longer runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from reddog.cli._output import CommandError
from reddog.settings import Settings

SHUTDOWN_TIMEOUT = 20.0  # seconds for a guest to shut down by itself


def stop_machines(settings: Settings, *, graceful: bool = True) -> list[str]:
    """Stop every machine of the data directory and return the ids of those that ran.

    With ``graceful`` the guests are asked first and the next ``reddog up`` starts the machines again;
    without it they are removed.
    """
    from reddog.cloud import make_driver, record_power_cycle

    if not settings.machines_dir.exists():
        return []
    driver = make_driver(settings)
    try:
        running = [identity for identity in driver.list() if driver.observe(identity).power != "stopped"]
        with ThreadPoolExecutor(max_workers=8) as pool:
            if graceful:
                list(pool.map(lambda identity: driver.shutdown(identity, timeout=SHUTDOWN_TIMEOUT), running))
            list(pool.map(driver.remove, driver.list()))
    finally:
        driver.close()
    if running:
        record_power_cycle(settings)
    return running


def require_driver(settings: Settings) -> None:
    """Make sure that virtual machines can be run, before anything is built or started.

    :raises CommandError: QEMU is not installed.
    """
    from reddog.fabric import MachineError
    from reddog.fabric.qemu import find_qemu

    if settings.fabric != "qemu":
        return
    try:
        find_qemu()
    except MachineError as error:
        raise CommandError(error.message, error.remedy) from None
