"""Posture's plugin handshake, as docs/plugin-protocol.md describes it.

serve() starts a gRPC server that the host can find, trust and end.
"""

import base64
import datetime
import json
import os
import signal
import sys
import tempfile
import threading
from concurrent import futures

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

COOKIE_KEY = "POSTURE_PLUGIN"
COOKIE_VALUE = "7d1f2c7e-5b0c-4d55-9c0e-1b7c41f0a9b3"
PROTOCOL_VERSION = 1
MAX_MESSAGE = 32 << 20


def log(level, message, **values):
    """Writes one line that the host takes into its own log."""
    line = {"@level": level, "@message": message, **values}
    print(json.dumps(line, default=str), file=sys.stderr, flush=True)


def serve(register, concurrency=16):
    """Serves until the host says that it is enough. register adds the service."""
    if os.environ.get(COOKIE_KEY) != COOKIE_VALUE:
        sys.exit("This is a plugin of Posture; the host starts it.")
    offered = os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "").split(",")
    if str(PROTOCOL_VERSION) not in offered:
        log("error", "the host speaks other protocol versions", offered=offered)
        # The line is written all the same: the host then names both versions.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_host()

    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=concurrency),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
        ],
    )
    register(server)
    serving = health.HealthServicer()
    serving.set("plugin", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(serving, server)
    finished = add_controller(server)

    folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp()
    path = os.path.join(folder, "plugin.sock")
    certificate = listen(server, path)
    server.start()
    sys.stdout.write(f"1|{PROTOCOL_VERSION}|unix|{path}|grpc|{certificate}\n")
    sys.stdout.flush()
    sys.stdout = sys.stderr  # what is printed from here on is log

    finished.wait()
    server.stop(grace=1).wait()


def listen(server, path):
    """Opens the socket, and gives the certificate for the handshake line."""
    host_certificate = os.environ.get("PLUGIN_CLIENT_CERT", "")
    if not host_certificate:
        server.add_insecure_port("unix:" + path)
        return ""
    key, own = make_certificate()
    credentials = grpc.ssl_server_credentials(
        [
            (
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
                own.public_bytes(serialization.Encoding.PEM),
            )
        ],
        root_certificates=host_certificate.encode(),
        require_client_auth=True,
    )
    server.add_secure_port("unix:" + path, credentials)
    der = own.public_bytes(serialization.Encoding.DER)
    return base64.b64encode(der).decode().rstrip("=")


def make_certificate():
    """Makes a key and the self-signed certificate of "localhost" for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def add_controller(server):
    """Serves plugin.GRPCController; gives the event that Shutdown sets.

    Request and answer are empty messages, so no generated code is needed.
    """
    finished = threading.Event()

    def shutdown(_request, _context):
        finished.set()
        return b""

    method = grpc.unary_unary_rpc_method_handler(shutdown)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": method}),)
    )
    return finished


def end_with_host():
    """Ends this process when the host has gone, however it went."""
    descriptor = os.environ.get("POSTURE_LIFELINE_FD", "")
    if not descriptor.isdigit():
        return

    def watch():
        while os.read(int(descriptor), 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
