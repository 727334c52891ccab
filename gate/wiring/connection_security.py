"""Which ways of entering a Kafka cluster only `insecure_dev` may take.

Promises that a refusal names the property and the cure, and never shows a value.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gate.errors import ConfigInvalid

_TRUE = {"true", "t", "1"}
_TOKENS = "sasl.oauthbearer.token.endpoint.url"


def check_secure(properties: Mapping[str, str]) -> None:
    """Raise `ConfigInvalid` for a property that lets someone stand between gate and brokers.

    Certificates and host names of brokers must be checked, and a token be fetched through TLS
    unless it comes from this machine.
    """
    cure = "remove it, or for development set `insecure_dev = true`"
    if properties.get("enable.ssl.certificate.verification", "true").lower() not in _TRUE:
        raise ConfigInvalid(
            "Kafka property `enable.ssl.certificate.verification`: expected `true`, as anyone "
            f"could be the broker else: {cure}"
        )
    if properties.get("ssl.endpoint.identification.algorithm", "https").lower() != "https":
        raise ConfigInvalid(
            "Kafka property `ssl.endpoint.identification.algorithm`: expected `https`, as any "
            f"certificate of the authority could be the broker's else: {cure}"
        )
    if _TOKENS in properties and not _is_safe_url(properties[_TOKENS]):
        raise ConfigInvalid(
            f"Kafka property `{_TOKENS}`: expected an address that begins with `https://`, as the "
            "client's secret is sent there: use TLS, or for development set `insecure_dev = true`"
        )


def _is_safe_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme.lower() == "https":
        return True
    return parts.scheme.lower() == "http" and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
