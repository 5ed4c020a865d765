"""What sslyze sees of listeners: versions, suites, curves, resumption, renegotiation, early data and known holes of TLS.

The hybrid group is not among what sslyze can offer; clients that offer one group each are in proxy/tests/wire/tls.rs.
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import sslyze  # noqa: E402
from sslyze import ScanCommand, ScanCommandAttemptStatusEnum  # noqa: E402

import credentials  # noqa: E402, the path above comes first
import running  # noqa: E402

OLD = ["ssl_2_0_cipher_suites", "ssl_3_0_cipher_suites", "tls_1_0_cipher_suites", "tls_1_1_cipher_suites"]
SUITES_1_3 = {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}
# We demand the extended master secret (RFC 7627). sslyze offers every other suite of TLS 1.2 with an OpenSSL that is too old
# for it, so this is the one that it can see; proxy/tests/wire/tls.rs offers each of them.
SUITES_1_2 = {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
CURVES = {"X25519", "secp256r1", "secp384r1"}


class Checks:
    def __init__(self):
        self.count, self.failed = 0, []

    def equal(self, what, got, want):
        self.count += 1
        if got != want:
            self.failed.append(f"{what}: {got!r}, not {want!r}")


def scan(ports, directory):
    """The result of a whole scan for each listener, by name; on `mesh` with a client certificate."""
    client = sslyze.ClientAuthenticationCredentials(
        certificate_chain_path=directory / "client.pem", key_path=directory / "client.key"
    )
    names = {port: name for name, port in ports.items()}
    scanner = sslyze.Scanner()
    scanner.queue_scans([
        sslyze.ServerScanRequest(
            server_location=sslyze.ServerNetworkLocation(hostname="localhost", port=port, ip_address="127.0.0.1"),
            network_configuration=sslyze.ServerNetworkConfiguration(
                tls_server_name_indication="localhost",
                tls_client_auth_credentials=client if name == "mesh" else None,
            ),
            scan_commands=set(ScanCommand) - {ScanCommand.HTTP_HEADERS},
        )
        for name, port in ports.items()
    ])
    results = {}
    for result in scanner.get_results():
        name = names[result.server_location.port]
        if result.scan_result is None:
            raise SystemExit(f"sslyze could not connect to `{name}`: {result.connectivity_error_trace}")
        results[name] = result.scan_result
    return results


def judge(name, result, twelve, checks):
    def of(command):
        attempt = getattr(result, command)
        if attempt.status != ScanCommandAttemptStatusEnum.COMPLETED:
            raise SystemExit(f"{name}: {command} did not complete: {attempt.error_reason} {attempt.error_trace}")
        return attempt.result

    def suites(command):
        return {accepted.cipher_suite.name for accepted in of(command).accepted_cipher_suites}

    for old in OLD:
        checks.equal(f"{name}: {old}", suites(old), set())
    checks.equal(f"{name}: TLS 1.2", suites("tls_1_2_cipher_suites"), SUITES_1_2 if twelve else set())
    checks.equal(f"{name}: TLS 1.3", suites("tls_1_3_cipher_suites"), SUITES_1_3)
    if twelve:
        curves = {curve.name for curve in of("elliptic_curves").supported_curves or []}
        checks.equal(f"{name}: curves", curves, CURVES)
        checks.equal(f"{name}: extended master secret", of("tls_extended_master_secret").supports_ems_extension, True)
        renegotiation = of("session_renegotiation")
        checks.equal(f"{name}: secure renegotiation", renegotiation.supports_secure_renegotiation, True)
        checks.equal(f"{name}: renegotiation by clients", renegotiation.is_vulnerable_to_client_renegotiation_dos, False)
        resumption = of("session_resumption")
        checks.equal(f"{name}: sessions kept by us", resumption.session_id_successful_resumptions_count, 0)
    checks.equal(f"{name}: early data", of("tls_1_3_early_data").supports_early_data, False)
    checks.equal(f"{name}: compression", of("tls_compression").supports_compression, False)
    checks.equal(f"{name}: heartbleed", of("heartbleed").is_vulnerable_to_heartbleed, False)
    checks.equal(f"{name}: CCS injection", of("openssl_ccs_injection").is_vulnerable_to_ccs_injection, False)
    checks.equal(f"{name}: ROBOT", of("robot").robot_result.name.startswith("NOT_VULNERABLE"), True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postern", type=pathlib.Path, required=True, help="the binary")
    options = parser.parse_args()
    checks = Checks()
    with running.folder("tls") as directory:
        credentials.make(directory)
        ports = dict(zip(["modern", "compatible", "mesh", "app"], running.free_ports(4)))
        values = {"DIR": directory, **{name.upper(): port for name, port in ports.items()}}
        config = running.write_set(HERE / "set", directory, values)
        del ports["app"]
        with running.Postern(options.postern, config) as postern:
            results = scan(ports, directory)
            for name, result in results.items():
                judge(name, result, name == "compatible", checks)
            checks.equal("postern still runs", postern.is_running(), True)
            panics = [event for event in postern.events() if "panic" in str(event.get("error.type", ""))]
            checks.equal("panics", panics, [])
    for line in checks.failed:
        print(f"FAILED {line}")
    print(f"{checks.count - len(checks.failed)} of {checks.count} facts about {len(results)} listeners as policy says")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
