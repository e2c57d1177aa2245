"""A source plugin for Posture in Python. It knows two people by heart."""

import json
import sys

import grpc
from google.protobuf import any_pb2, timestamp_pb2
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status

import handshake
from posture.plugin.v1 import plugin_pb2 as pb
from posture.plugin.v1 import plugin_pb2_grpc as pb_grpc

NAME = "pydemo"

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "PYDEMO_TOKEN": {"type": "string", "description": "API token", "x-secret": True},
        "PYDEMO_MODEL": {"type": "string", "description": "Model of every device", "default": "Abacus"},
    },
    "required": ["PYDEMO_TOKEN"],
}


def fail(context, code, kind, message, remedy="", **more):
    """Ends a call with a gRPC status that carries a Failure."""
    failure = pb.Failure(kind=kind, message=message, remedy=remedy, **more)
    detail = any_pb2.Any()
    detail.Pack(failure)
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=code, message=message, details=[detail]))
    )


class Plugin(pb_grpc.PluginServiceServicer):
    def __init__(self):
        self.config = None

    def Describe(self, request, context):
        return pb.DescribeResponse(
            name=NAME,
            version="1.0.0",
            summary="Two people's devices, known by heart",
            capabilities=[pb.CAPABILITY_DEVICES_BY_EMAIL, pb.CAPABILITY_TEST_CONNECTIVITY],
            config_schema=json.dumps(SCHEMA),
            practices=["encryption"],
            platforms=["Linux"],
        )

    def Configure(self, request, context):
        config = json.loads(request.config or "{}")
        if not config.get("PYDEMO_TOKEN"):
            field = pb.InvalidField(name="PYDEMO_TOKEN", reason="is required")
            fail(context, code_pb2.INVALID_ARGUMENT, pb.FAILURE_KIND_INVALID, "", fields=[field])
        self.config = config
        # Not what docs/plugin-protocol.md asks for: the host must bear it.
        print('{"@level": 3, "@message": {"odd": null}, "@timestamp": 0}', file=sys.stderr)
        handshake.log("info", "configured", timeout_ms=request.timeout_ms, concurrency=request.concurrency)
        return pb.ConfigureResponse()

    def TestConnectivity(self, request, context):
        return pb.TestConnectivityResponse(detail="nothing needs to be reached")

    def LookUpDevices(self, request, context):
        if not request.email:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "only by e-mail")
        person = request.email.lower()
        answer = pb.LookUpDevicesResponse(devices=self.devices_of(person))
        if person.startswith("half."):
            # What was delivered counts; the failure is reported beside it.
            answer.failures.add(
                kind=pb.FAILURE_KIND_RATE_LIMITED,
                message="the second half was refused",
                remedy="wait a little",
                retry_after_ms=1500,
            )
        return answer

    def devices_of(self, person):
        local, _, _ = person.partition("@")
        if local not in ("ada", "half.ada"):
            return  # an empty answer, not a failure
        yield pb.Device(
            name="Analytical engine",
            model=self.config.get("PYDEMO_MODEL", SCHEMA["properties"]["PYDEMO_MODEL"]["default"]),
            email=person,
            platform="Linux",
            serial="PY-0001",
            last_sync=timestamp_pb2.Timestamp(seconds=1767323045),
            identifiers=pb.Identifiers(serial="PY-0001", mac_addresses=["A4:83:E7:00:00:01"]),
            practices={"encryption": pb.Practice(value=False, details="brass does not encrypt")},
        )


if __name__ == "__main__":
    plugin = Plugin()
    handshake.serve(lambda server: pb_grpc.add_PluginServiceServicer_to_server(plugin, server))
