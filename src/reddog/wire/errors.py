"""The catalogue of errors: code, HTTP status, message, what to do next.

Code that refuses something calls an entry and raises what it returns: ``raise
errors.DEPLOYMENT_NOT_FOUND()``. Messages that the real service was recorded with are kept to the letter
(behaviours.md, section 2); the others are ours, and tell the next step themselves. One place turns an error
into HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

_NAMESPACES = (
    'xmlns="http://schemas.microsoft.com/windowsazure" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
)
DOCS = "docs/errors.md"


class ServiceError(Exception):
    """A refusal or a failure, as the API tells it.

    :param code: the API's error code, such as ``ResourceNotFound``.
    :param status: the HTTP status that goes with it.
    :param message: what is wrong, for people.
    :param remedy: what to do next; in logs and in clients that ask for it, not in the API's answer.
    """

    def __init__(self, code: str, status: int, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.remedy = remedy

    @property
    def docs(self) -> str:
        """Where the documentation describes this code."""
        return f"{DOCS}#{self.code.lower()}"

    def to_xml(self) -> bytes:
        """The ``Error`` document."""
        message = "".join(char if char.isprintable() or char in "\n\t" else " " for char in self.message)
        body = f"<Code>{_escape(self.code)}</Code><Message>{_escape(message)}</Message>"
        return f"<Error {_NAMESPACES}>{body}</Error>".encode("utf-8", "replace")


@dataclass(frozen=True)
class ErrorKind:
    """An entry of the catalogue. Calling it fills in the message's placeholders and makes the error."""

    code: str
    status: int
    message: str
    remedy: str = ""

    def __call__(self, **values: object) -> ServiceError:
        shown = {name: _shown(value) for name, value in values.items()}
        return ServiceError(self.code, self.status, self.message.format(**shown), self.remedy.format(**shown))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _bad(message: str, remedy: str = "") -> ErrorKind:
    return ErrorKind("BadRequest", 400, message, remedy)


def _missing(message: str, remedy: str = "") -> ErrorKind:
    return ErrorKind("ResourceNotFound", 404, message, remedy)


def _conflict(message: str, remedy: str = "") -> ErrorKind:
    return ErrorKind("ConflictError", 409, message, remedy)


def _xml(message: str) -> ErrorKind:
    return ErrorKind(
        "InvalidXmlRequest", 400, "The request body's XML was invalid or not correctly specified. " + message
    )


# -- Transport -------------------------------------------------------------------------------------------
INVALID_VERSION = ErrorKind(
    "MissingOrIncorrectVersionHeader",
    400,
    "The versioning header is not specified or was specified incorrectly. Send x-ms-version: YYYY-MM-DD, for "
    "example 2014-10-01.",
)
INVALID_REQUEST = _bad("The request is not valid HTTP: {detail}")
METHOD_NOT_ALLOWED = ErrorKind(
    "MethodNotAllowed", 405, "The resource does not support {method}. It takes {allowed}."
)
UNKNOWN_PATH = _missing("The requested path is not part of the Service Management API: {path}")
MISSING_QUERY_PARAMETER = ErrorKind(
    "MissingOrInvalidRequiredQueryParameter",
    400,
    "A required query parameter was not specified for this request or was specified incorrectly: "
    "{parameter}.",
)
INVALID_PERMISSION = ErrorKind(
    "MissingOrInvalidRequiredQueryParameter",
    400,
    "The query parameter permission must be Public, MSDN or Private, not '{given}'.",
)
BODY_TOO_LARGE = ErrorKind(
    "RequestBodyTooLarge", 413, "The request body is larger than the {limit} bytes that this operation takes."
)
BODY_TIMED_OUT = ErrorKind(
    "RequestTimeout",
    408,
    "The request body did not arrive within {seconds} seconds. Please retry the request.",
)
CONFLICTING_CHANGE = _conflict(
    "The operation cannot be performed at this time because a conflicting operation is underway. Please retry later. "
    "({detail})"
)
BODY_REQUIRED = ErrorKind(
    "MissingOrInvalidRequestBody", 400, "The operation needs a request body whose root is {root}."
)
NOT_SUPPORTED = ErrorKind(
    "NotImplemented",
    501,
    "The operation '{operation}' is not supported by this cloud yet. The coverage page lists what is.",
)
CERTIFICATE_REQUIRED = ErrorKind(
    "AuthenticationFailed",
    403,
    "The server failed to authenticate the request. Verify that the certificate is valid and is associated "
    "with this subscription.",
    "Send a management certificate; register one with: reddog cert add FILE.cer",
)
CERTIFICATE_EXPIRED = ErrorKind(
    "AuthenticationFailed",
    403,
    "The management certificate {thumbprint} is valid from {start} to {end} only; it is now {now}. Make a "
    "new one (reddog cert create), register it, and check the clocks of both machines.",
)
SUBSCRIPTION_NOT_FOUND = ErrorKind(
    "SubscriptionNotFound", 404, "The subscription '{subscription}' does not exist in this cloud."
)
FORBIDDEN = ErrorKind("ForbiddenError", 403, "This operation is not allowed for this subscription.")
INTERNAL_ERROR = ErrorKind(
    "InternalError", 500, "The server encountered an internal error. Please retry the request."
)
DISK_FULL = ErrorKind(
    "InternalError",
    500,
    "There is no space left on the cloud's disk, so nothing was changed. Free some there, then retry the request.",
)
STOPPING = ErrorKind(
    "ServerBusy", 503, "The cloud is stopping. Please retry the request when it is up again."
)

# -- Request bodies --------------------------------------------------------------------------------------
MALFORMED_XML = _xml("It is not well-formed: {detail}")
DOCUMENT_TYPE = _xml("A document type declaration is not allowed.")
WRONG_ROOT = _xml(
    "Its root must be {expected} in the namespace http://schemas.microsoft.com/windowsazure, not {found}."
)
MISSING_ELEMENT = _xml("The element {element} is required in {parent} and must not be empty.")
INVALID_ELEMENT = _xml("The element {element} must hold {expected}.")
FORBIDDEN_CHARACTER = _bad("The text contains the character {character}, which XML cannot hold. Remove it.")

# -- Names and values ------------------------------------------------------------------------------------
A_PARAMETER_WAS_INCORRECT = _bad("A parameter was incorrect")
LABEL_TOO_LONG = _bad("The label may have up to 100 characters before encoding; this one has {length}.")
DESCRIPTION_TOO_LONG = _bad("The description may have up to 1024 characters; this one has {length}.")
INVALID_EXTENDED_PROPERTY = _bad(
    "The extended property '{name}' is invalid: a name has up to 64 letters, digits and underscores and "
    "begins with a letter, a value has up to 255 characters."
)
TOO_MANY_EXTENDED_PROPERTIES = _bad("There may be up to {limit} extended properties; {count} were given.")
INVALID_NAME = _bad("The name '{name}' is not valid for {what}: {rule}")
LOCATION_NOT_FOUND = _bad(
    "The location constraint '{location}' is not valid. List Locations names the valid ones."
)
LOCATION_OR_AFFINITY_GROUP = _bad("Exactly one of Location and AffinityGroup must be given.")
QUOTA_EXCEEDED = _conflict(
    "The subscription's limit of {limit} {what} is reached: {used} are in use and {wanted} more were asked for. Delete "
    "some, or raise the limit in the cloud's reddog.toml."
)
NOTHING_TO_UPDATE = _bad("At least one of {elements} must be given.")

# -- Operations ------------------------------------------------------------------------------------------
OPERATION_NOT_FOUND = _missing("The operation request ID was not found.")

# -- Management certificates -----------------------------------------------------------------------------
CERTIFICATE_NOT_FOUND = _missing("The certificate was not found.")
INVALID_CERTIFICATE = _bad("The certificate data is not a valid X.509 certificate: {detail}.")
THUMBPRINT_MISMATCH = _bad("The thumbprint {given} is not the one of the certificate, {actual}.")
LAST_CERTIFICATE = _conflict(
    "The certificate {thumbprint} is the last one of the subscription. Add another certificate before "
    "deleting it."
)

# -- Affinity groups -------------------------------------------------------------------------------------
AFFINITY_GROUP_NOT_FOUND = _missing("The affinity group does not exist.")
INVALID_AFFINITY_GROUP_NAME = _bad("The affinity group name is invalid.")
AFFINITY_GROUP_EXISTS = _conflict("An affinity group named '{name}' already exists in the subscription.")
AFFINITY_GROUP_IN_USE = _conflict(
    "The affinity group '{name}' is in use by {users}. Delete what it contains before deleting it."
)

# -- Cloud services --------------------------------------------------------------------------------------
HOSTED_SERVICE_NOT_FOUND = _missing("The hosted service does not exist.")
INVALID_HOSTED_SERVICE_NAME = _bad("The hosted service name is invalid.")
INVALID_REVERSE_DNS = _bad(
    "The reverse DNS name '{given}' is not valid: it must be the service's own, {expected} (with the dot)."
)
DNS_NAME_TAKEN = _conflict("The specified DNS name is already taken.")
HOSTED_SERVICE_IN_USE = _conflict(
    "The hosted service '{name}' has deployments: {deployments}. Delete them before deleting the service."
)
HOSTED_SERVICE_LOCKED = _conflict(
    "Windows Azure is currently performing an operation on this hosted service that requires exclusive "
    "access."
)

# -- Deployments and roles -------------------------------------------------------------------------------
DEPLOYMENT_NOT_FOUND = _missing("No deployments were found.")
DEPLOYMENT_LOCKED = _conflict(
    "Windows Azure is currently performing an operation with x-ms-requestid {request_id} on this deployment "
    "that requires exclusive access."
)
SLOT_OCCUPIED = _conflict("The specified deployment slot {slot} is occupied.")
DEPLOYMENT_EXISTS = _conflict("A deployment named '{name}' already exists in the hosted service.")
ROLE_NOT_FOUND = _missing("Role {name} was not found in the currently deployed service.")
ONLY_ROLE = _bad(
    "Role {name} is the only role present in the deployment and so cannot be removed. Delete the deployment "
    "instead."
)
PORT_IN_USE = _bad(
    "Port {port} is already in use by one of the endpoints in this deployment. Ensure that the port numbers "
    "are unique across endpoints within a deployment."
)
ROLE_EXISTS = _conflict("A role named '{name}' already exists in the deployment.")
ROLE_NOT_STOPPED = _bad(
    "The role {name} is {status}. Shut it down (Shutdown Role) before capturing it as a generalized image."
)
PROVISIONING_REQUIRED = _bad(
    "The role {role} is made from a generalized {os} image, so it needs a {os}ProvisioningConfiguration set."
)
INVALID_HOST_NAME = _bad(
    "The host name '{name}' is not valid: use 1 to {limit} letters, digits and hyphens, with a letter or digit first."
)
INVALID_USER_NAME = _bad("The user name '{name}' is not valid or is reserved. Choose another one.")
INVALID_PASSWORD = _bad("The password is not acceptable: it must have {rule}.")
PASSWORD_REQUIRED = _bad(
    "UserPassword is required unless DisableSshPasswordAuthentication is true and an SSH key is given."
)
CUSTOM_DATA_TOO_LARGE = _bad("CustomData holds {length} bytes; {limit} are allowed.")
INVALID_ROLE_SIZE = _bad("The role size '{size}' does not exist. List Role Sizes names those that do.")
TOO_MANY_DATA_DISKS = _bad("A role of size {size} takes {limit} data disks at the most.")
EXTENSION_NOT_FOUND = _missing("The publisher {publisher} has no extension named {name}.")
UNKNOWN_EXTENSION = _bad(
    "The publisher '{publisher}' has no extension named '{name}'. List Resource Extensions names those that there are."
)
UNKNOWN_EXTENSION_VERSION = _bad(
    "The extension {name} has no version {version}; the newest is {newest}. Write a version in full, or 1.* for the "
    "newest that begins so."
)
EXTENSION_WITHOUT_AGENT = _bad(
    "The role {role} has extensions, which the guest agent installs: ProvisionGuestAgent must not be false."
)
EXTENSION_TWICE = _bad("The role {role} refers to {name} twice.")
DATA_DISK_NOT_FOUND = _missing("The role {role} has no data disk with the LUN {lun}.")
INVALID_LUN = _bad("The LUN {lun} is in use in this role, or not between 0 and {highest}.")
SERVICE_CERTIFICATE_IN_USE = _conflict(
    "The certificate {thumbprint} is in use by the deployment '{deployment}'. Change its configuration, or delete it, "
    "first."
)
SERVICE_CERTIFICATE_WITHOUT_KEY = _bad(
    "The certificate {thumbprint} was added without its private key, which a key pair needs. Add it as a PFX file."
)
SERVICE_CERTIFICATE_NOT_FOUND = _bad(
    "The certificate with thumbprint {thumbprint} was not found. Add it to the hosted service '{service}' first (Add "
    "Service Certificate)."
)
ENDPOINT_PORT_UNAVAILABLE = _bad("An endpoint's port cannot be had on this host. {detail} {remedy}")
INVALID_MACHINE = _bad("The role {role} cannot be run. {detail} {remedy}")
MACHINE_FAILED = ErrorKind(
    "InternalError", 500, "The machine of the role {role} could not be run. {detail} {remedy}"
)
NO_VIRTUAL_IP = _conflict("No virtual IP is free. Delete a deployment, then try again.")
LOAD_BALANCED_SET_NOT_FOUND = _missing(
    "No role of the deployment has an endpoint in the load-balanced set '{name}'. Update Role gives a role one."
)
DNS_SERVER_NOT_FOUND = _missing("The deployment has no DNS server named '{name}'.")
DNS_SERVER_EXISTS = _conflict("There already is a DNS server named '{name}' in the deployment.")
DNS_SERVER_RENAMED = _bad(
    "The name of a DNS server cannot be changed from '{name}' to '{given}': delete it, and add another one."
)
RESERVED_IP_NOT_FOUND = _bad("The reserved IP {name} does not exist.")
RESERVED_IP_MISSING = _missing("The reserved IP '{name}' does not exist.")
RESERVED_IP_EXISTS = _conflict("A reserved IP named '{name}' already exists in the subscription.")
RESERVED_IP_IN_USE = _bad(
    "The reserved IP '{name}' is in use by the deployment '{deployment}'. Disassociate it first."
)
RESERVED_IP_PRESENT = _bad("The deployment has the reserved IP '{name}' already. Disassociate it first.")
RESERVED_IP_NOT_ASSOCIATED = _bad(
    "The reserved IP '{name}' is not associated with the deployment '{deployment}'."
)
VIRTUAL_NETWORK_NOT_FOUND = _bad("The virtual network {name} does not exist.")
VIRTUAL_NETWORK_ELSEWHERE = _bad(
    "The virtual network {name} is in {location}, the hosted service in {other}. Use a service in {location}."
)
NOT_IN_A_VIRTUAL_NETWORK = _bad(
    "The deployment {deployment} is in no virtual network, so its roles cannot name a subnet or a static address. "
    "Create it with a VirtualNetworkName."
)
DEPLOYMENT_CANNOT_MOVE = _bad(
    "The deployment '{name}' is in the virtual network {here}, the configuration names {there}. Keep the "
    "VirtualNetworkSite, or delete the deployment and create it anew."
)
ROLE_CANNOT_MOVE = _bad(
    "The instances of the role {role} are in the subnets {here}, the configuration names others. Keep the role's "
    "InstanceAddress, or delete the deployment and create it anew."
)
SUBNET_NOT_FOUND = _bad(
    "The virtual network {network} has no subnet for '{name}'. List Virtual Network Sites tells its subnets; those "
    "from /8 to /29 take machines."
)
ADDRESS_NOT_FREE = _bad(
    "The address {address} cannot be had in the subnet {subnet}: it is not one for machines there, or in use. Check "
    "Static IP Availability names some that can."
)

VIRTUAL_NETWORK_IN_USE = _bad(
    "The virtual network {name} is in use by the deployment {deployment}: it cannot be removed, nor lose its place or "
    "a subnet. Delete the deployment first."
)
NETWORK_CONFIGURATION_NOT_FOUND = _missing("Network configuration does not exist.")
NETWORK_CONFIGURATION_LOCKED = _conflict(
    "An update to your network configuration is currently underway. Please try this operation again later."
)
NETWORK_CONFIGURATION_SCHEMA = _bad(
    "XML Schema validation error in network configuration at line {line},{column}. {detail}"
)
INVALID_NETWORK_CONFIGURATION = _bad("The network configuration is not valid: {detail}.")
# -- Packages and role instances ---------------------------------------------------------------------------
PACKAGE_NOT_FOUND = _bad(
    "There is no blob at the package's URL '{url}'. Upload the .cspkg file first, and name its blob."
)
PACKAGE_ACCOUNT_NOT_FOUND = _bad(
    "The package's URL '{url}' leads to the storage account '{name}', which the subscription does not have. Upload the "
    "package to an account that List Storage Accounts shows."
)
PACKAGE_TOO_LARGE = _bad("The package at '{url}' has {size} bytes; {limit} are allowed.")
INVALID_PACKAGE = _bad("The package at '{url}' cannot be used. {detail} {remedy}")
INVALID_CONFIGURATION = _bad("The service configuration cannot be used. {detail} {remedy}")
NOT_A_PACKAGE_DEPLOYMENT = _bad(
    "The deployment '{name}' has virtual machines, not a service package. Use the operations on roles instead."
)
NOT_A_VM_DEPLOYMENT = _bad(
    "The deployment '{name}' has a service package, not virtual machines. Use the operations on deployments and role "
    "instances instead."
)
INVALID_PACKAGE_ROLE_SIZE = _bad(
    "The role {role} has the size '{size}', which web and worker roles cannot have. List Role Sizes names those that "
    "they can."
)
LOCAL_STORAGE_TOO_LARGE = _bad(
    "The local storage of the role {role} has {wanted} MB; its size {size} has {limit} MB. Make it smaller, or choose "
    "a larger size."
)
UNKNOWN_UPGRADE_ROLE = _bad("The role to upgrade, '{name}', is not in the package. Its roles are: {names}.")
ROLES_DIFFER = _bad(
    "The package has other roles than the deployment ({names}), which only an upgrade with Force and of all roles may "
    "change."
)
LOCAL_DATA_WOULD_BE_LOST = _bad(
    "The upgrade changes the size or the local storage of the role {role}, so the data on its instances would be lost. "
    "Set Force to true to accept that."
)
NO_UPGRADE_UNDERWAY = _bad(
    "No update or upgrade of the deployment '{name}' is in progress, so there is nothing to {action}."
)
UPGRADE_NOT_MANUAL = _bad(
    "The upgrade of the deployment '{name}' is {mode}: it walks its upgrade domains by itself."
)
WRONG_UPGRADE_DOMAIN = _bad(
    "The next upgrade domain to walk is {expected}, not {given}: domains are walked in order."
)
UPGRADE_UNDERWAY = _bad(
    "A manual update or upgrade of the deployment '{name}' is in progress. Walk its upgrade domains to the end, or "
    "roll it back, first."
)
ROLLBACK_NOT_ALLOWED = _bad("The update of the deployment '{name}' cannot be rolled back any more.")
ROLE_INSTANCE_NOT_FOUND = _missing("Role instance name is not valid.")
TOO_MANY_INSTANCES = _bad("A deployment may have up to {limit} role instances. Ask for fewer.")
LAST_ROLE_INSTANCE = _bad(
    "The role {role} would have no instance left. Delete the deployment, or suspend it, instead."
)
SWAP_SOURCE_NOT_STAGED = _bad(
    "The deployment '{name}' is not in the staging slot, so it cannot be swapped in."
)
SWAP_PRODUCTION_DIFFERS = _bad(
    "The deployment in production is {actual}, not {given}. Name it as Production, or leave that empty if there "
    "is none."
)
NO_ROLE_IMAGE = ErrorKind(
    "InternalError",
    500,
    "No platform image can run web and worker roles. Build it anew: reddog image build",
)

# -- Storage accounts ------------------------------------------------------------------------------------
STORAGE_ACCOUNT_NOT_FOUND = _missing("The storage account '{name}' was not found.")
INVALID_STORAGE_ACCOUNT_NAME = _bad(
    "The name is not a valid storage account name. Storage account names must be between 3 and 24 characters "
    "in length and use numbers and lower-case letters only."
)
STORAGE_ACCOUNT_EXISTS = _conflict("The storage account named '{name}' is already taken.")
STORAGE_ACCOUNT_IN_USE = _bad(
    "Storage account {name} has {count} container(s) which have an active image and/or disk artifacts. "
    "Ensure those artifacts are removed from the image repository before deleting this storage account."
)

# -- Disks and images ------------------------------------------------------------------------------------
DISK_NOT_FOUND = _missing("The disk with the specified name does not exist.")
DISK_EXISTS = _conflict("A disk with the name '{name}' already exists in the subscription.")
DISK_IN_USE = _bad(
    "A disk with name {name} is currently in use by virtual machine {role} running within hosted service "
    "{service}, deployment {deployment}."
)
IMAGE_NOT_FOUND = _missing("The image with the specified name does not exist.")
IMAGE_EXISTS = _conflict("An image with the name '{name}' already exists.")
IMAGE_IN_USE = _conflict("The image '{name}' is in use by {user}. Delete or finish that first.")
IMAGE_NOT_REPLICATED = _bad(
    "The image '{name}' is in no location yet, so it cannot be shared. Replicate it first (Replicate OS Image, or "
    "Replicate VM Image)."
)
OFFER_TAKEN = _conflict(
    "The image '{name}' has the offer {offer}, SKU {sku} and version {version} already. Raise the version."
)
INVALID_MEDIA_LINK = _bad("The media link '{url}' is not a blob's URL: {detail}")
MEDIA_ACCOUNT_NOT_FOUND = _bad(
    "The media link '{url}' leads to the storage account '{name}', which the subscription does not have. Create the "
    "account first, or use a media link in one that List Storage Accounts shows."
)
MEDIA_NOT_FOUND = _bad("There is no blob at the media link '{url}'. Upload the VHD first: reddog vhd upload")
MEDIA_NOT_A_PAGE_BLOB = _bad(
    "The blob at the media link '{url}' is a {kind}, not a PageBlob. Upload the VHD as a page blob: reddog vhd upload"
)
MEDIA_NOT_A_VHD = _bad("The blob at the media link '{url}' cannot be used as a disk. {detail} {remedy}")
MEDIA_EXISTS = _conflict(
    "There is already a blob at the media link '{url}'. Choose another name, or delete the blob."
)
NO_STORAGE_ACCOUNT = _bad(
    "No media link was given for a new disk, and the subscription has no storage account for it. Create one first."
)
NOT_AN_OS_DISK = _bad("The disk '{name}' holds no operating system: it cannot be a role's system disk.")
INVALID_DISK_SIZE = _bad("A disk may have 1 to {limit} GB; {size} were asked for.")
DISK_TOO_SMALL = _bad("A disk of {size} GB cannot hold the image, which needs {needed} GB.")
NO_SPACE = ErrorKind(
    "InternalError",
    500,
    "The cloud's disk is full: {detail} Free some space in the data directory, then try again.",
)
LEASE_CONFLICT = _bad("A lease conflict occurred with the blob {url}.")
