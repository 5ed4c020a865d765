"""gRPC's own client and server with Postern between them: all four kinds of call, errors, deadlines and refusals.

Messages are plain bytes, so nothing has to be generated: what is looked at is framing, order, trailers and ends.
"""

import concurrent.futures
import contextlib
import pathlib
import queue
import threading
import unittest

import credentials
import grpc
from running import Postern, facts, folder, free_ports, is_request, write_set

POSTERN = None  # set by run.py

SET = pathlib.Path(__file__).resolve().parent / "grpc-set"
WITHIN_S = 30
RESET_WITHIN_S = 1
SERVICE = "shop.Orders"


class Orders(grpc.GenericRpcHandler):
    """What each method does; `seen` is what arrived, by method."""

    def __init__(self):
        self.seen, self.ended, self.cancelled = [], queue.Queue(), threading.Event()

    def service(self, details):
        method = details.method.rpartition("/")[2]
        self.seen.append(method)
        kinds = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Delete": grpc.unary_unary_rpc_method_handler(self.echo),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }
        return kinds.get(method)

    @staticmethod
    def echo(request, context):
        context.set_trailing_metadata((("took", "1"),))
        return request

    @staticmethod
    def fail(request, context):
        context.set_trailing_metadata((("retry-in", "7"), ("detail-bin", b"\x00\xff")))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no stock: größe ü")

    def hang(self, _request, context):
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(WITHIN_S)
        return b""

    @staticmethod
    def count(request, _context):
        for number in range(int(request)):
            yield str(number).encode()

    def sum(self, requests, context):
        cancelled = threading.Event()
        context.add_callback(cancelled.set)
        try:
            total = sum(len(each) for each in requests)
        except Exception:  # the kind depends on how the stream broke off
            self.ended.put("broken")
            raise
        # A reset may end the messages before the server knows of it. A request that is whole is not cancelled before it is answered.
        self.ended.put("broken" if cancelled.wait(RESET_WITHIN_S) else "whole")
        return str(total).encode()

    @staticmethod
    def chat(requests, _context):
        for request in requests:
            yield request.upper()


@contextlib.contextmanager
def serving(orders, port):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[orders])
    if server.add_insecure_port(f"127.0.0.1:{port}") != port:
        raise SystemExit(f"port {port} is taken")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait(WITHIN_S)


class Grpc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = cls.enterClassContext(folder("grpc"))
        port, upstream = free_ports(2)
        credentials.make(directory)
        config = write_set(SET, directory, {"DIR": directory, "PORT": port, "ORDERS": upstream})
        cls.orders = Orders()
        cls.enterClassContext(serving(cls.orders, upstream))
        cls.postern = cls.enterClassContext(Postern(POSTERN, config))
        cls.directory, cls.target = directory, f"localhost:{port}"
        cls.channel = cls.enterClassContext(cls.connect("client"))

    @classmethod
    def connect(cls, who=None):
        read = lambda name: (cls.directory / name).read_bytes()  # noqa: E731
        own = (read(f"{who}.key"), read(f"{who}.pem")) if who else (None, None)
        return grpc.secure_channel(cls.target, grpc.ssl_channel_credentials(read("ca.pem"), *own))

    def setUp(self):
        self.orders.seen.clear()

    def unary(self, method, channel=None):
        return (channel or self.channel).unary_unary(f"/{SERVICE}/{method}")

    def refused(self, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        return caught.exception

    def test_a_call_and_its_trailers(self):
        for size in (0, 1, 70_000, 1_000_000):
            answer, call = self.unary("Echo").with_call(b"x" * size, timeout=WITHIN_S)
            self.assertEqual(answer, b"x" * size)
            self.assertIn(("took", "1"), call.trailing_metadata())

    def test_an_answer_of_many_messages_keeps_their_order(self):
        count = self.channel.unary_stream(f"/{SERVICE}/Count")
        self.assertEqual([int(each) for each in count(b"2000", timeout=WITHIN_S)], list(range(2000)))
        self.assertEqual(list(count(b"0", timeout=WITHIN_S)), [])

    def test_a_request_of_many_messages(self):
        total = self.channel.stream_unary(f"/{SERVICE}/Sum")
        self.assertEqual(total((b"y" * 1000 for _ in range(500)), timeout=WITHIN_S), b"500000")
        self.assertEqual(self.orders.ended.get(timeout=WITHIN_S), "whole")

    def test_both_sides_speak_in_turn(self):
        say = queue.Queue()
        heard = self.channel.stream_stream(f"/{SERVICE}/Chat")(iter(say.get, None), timeout=WITHIN_S)
        for word in (b"one", b"two", b"three"):
            say.put(word)
            # The next word is said only once the answer to this one is there: nothing is held back.
            self.assertEqual(next(heard), word.upper())
        say.put(None)
        self.assertEqual(list(heard), [])

    def test_an_error_comes_with_its_code_text_and_trailers(self):
        error = self.refused(lambda: self.unary("Fail")(b"", timeout=WITHIN_S))
        self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(error.details(), "no stock: größe ü")
        trailers = dict(error.trailing_metadata())
        self.assertEqual((trailers["retry-in"], trailers["detail-bin"]), ("7", b"\x00\xff"))

    def test_a_deadline_ends_the_call_on_the_other_side_too(self):
        error = self.refused(lambda: self.unary("Hang")(b"", timeout=1))
        self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertTrue(self.orders.cancelled.wait(WITHIN_S))

    def test_attack_20_what_is_not_permitted_never_reaches_the_server(self):
        for method in ("Delete", "../shop.Orders/Delete", "Echo/../Delete", "%44elete", "Nested/Echo"):
            error = self.refused(lambda method=method: self.unary(method)(b"", timeout=WITHIN_S))
            self.assertNotEqual(error.code(), grpc.StatusCode.OK, method)
        self.assertEqual(self.refused(lambda: self.unary("Delete")(b"", timeout=WITHIN_S)).code(),
                         grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(self.orders.seen, [])

    def test_a_client_without_a_certificate_does_not_get_in(self):
        with self.connect() as stranger:
            error = self.refused(lambda: self.unary("Echo", stranger)(b"", timeout=WITHIN_S))
        self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.orders.seen, [])

    def test_attack_10_a_request_that_grows_too_large_is_never_whole_upstream(self):
        total = self.channel.stream_unary(f"/{SERVICE}/Sum")
        self.refused(lambda: total((b"z" * 10_000 for _ in range(300)), timeout=WITHIN_S))
        self.assertEqual(self.orders.ended.get(timeout=WITHIN_S), "broken")

    def test_every_call_has_its_record(self):
        self.unary("Echo")(b"once", timeout=WITHIN_S)
        self.refused(lambda: self.unary("Delete")(b"", timeout=WITHIN_S))

        def found():
            records = [record for record in self.postern.records() if is_request(record)]
            return {(record["http_request"]["url"]["path"], facts(record)["decision"]) for record in records}

        wanted = {(f"/{SERVICE}/Echo", "Allow"), (f"/{SERVICE}/Delete", "Deny")}
        done = threading.Event()
        for _ in range(WITHIN_S * 20):
            if wanted <= found():
                return
            done.wait(0.05)
        self.fail(f"{wanted - found()} have no record")
