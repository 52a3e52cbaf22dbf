"""What is the same for everybody: locations, role sizes, guest operating systems."""

from __future__ import annotations

import pytest

from reddog.services.locations import Locations, require_location
from reddog.services.operating_systems import OperatingSystems
from reddog.services.role_sizes import RoleSizes, require_size
from reddog.wire import ServiceError
from service_calls import Caller, document

call = Caller(Locations(), RoleSizes(), OperatingSystems())

# The guide's list, in its order.
GUIDE = """West Europe, North Europe, Southeast Asia, East Asia, Central US, North Central US, South Central US,
West US, East US, Japan East, Japan West, Brazil South, Australia East, Australia Southeast"""


def test_the_guide_s_locations_are_listed_in_its_order() -> None:
    shown = call("List Locations")
    assert [one.name for one in shown] == [name.strip() for name in GUIDE.split(",")]
    assert all(one.display_name == one.name for one in shown)
    assert all("PersistentVMRole" in one.available_services for one in shown)


def test_a_location_s_role_sizes_are_alphabetical_and_basic_ones_for_machines_only() -> None:
    capabilities = call("List Locations")[0].compute_capabilities
    machines = list(capabilities.virtual_machines_role_sizes)
    workers = list(capabilities.web_worker_role_sizes)
    assert machines == sorted(machines)
    assert workers == sorted(workers)
    assert "Basic_A0" in machines
    assert not any(name.startswith("Basic_") for name in workers)
    assert set(workers) < set(machines)


def test_locations_match_without_regard_to_case() -> None:
    assert require_location("wEST us") == "West US"
    with pytest.raises(ServiceError, match="List Locations"):
        require_location("Atlantis")


def test_role_sizes_tell_what_they_offer() -> None:
    sizes = {one.name: one for one in call("List Role Sizes")}
    small = sizes["Small"]
    assert (small.cores, small.memory_in_mb, small.max_data_disk_count) == (1, 1792, 2)
    assert sizes["A10"].label == "A10 (8 cores, 57344 MB)"
    assert set(call("List Locations")[0].compute_capabilities.virtual_machines_role_sizes) <= set(sizes)


def test_role_sizes_match_without_regard_to_case() -> None:
    assert require_size("extrasmall").name == "ExtraSmall"
    with pytest.raises(ServiceError, match="List Role Sizes"):
        require_size("Gigantic")


def test_guest_systems_are_the_same_flat_and_by_family() -> None:
    flat = call("List Operating Systems")
    families = call("List Operating System Families")
    nested = {(int(one.name), system.version) for one in families for system in one.operating_systems}
    assert {(one.family, one.version) for one in flat} == nested
    assert all(sum(one.is_default for one in flat if one.family == family) == 1 for family in (1, 2, 3, 4))
    assert "WA-GUEST-OS-2.40_201506-01" in {one.version for one in flat}


def test_guest_system_labels_are_base64_on_the_wire() -> None:
    assert b"<Label>V2luZG93cyBBenVyZSBHdWVzdCBPUy" in document(call.reply("List Operating Systems"))
