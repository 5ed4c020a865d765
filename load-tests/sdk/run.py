"""Runs clients of the field against a Postern they start themselves: python run.py --postern PATH [MODULE.TEST…]."""

import argparse
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

# A handshake that is refused is what a test wants.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import test_grpc  # noqa: E402, the path above comes first
import test_openai  # noqa: E402
import test_vendors  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postern", required=True, help="the binary")
    parser.add_argument("tests", nargs="*", help="names of tests, all without")
    options = parser.parse_args()
    modules = [test_openai, test_grpc, test_vendors]
    for module in modules:
        module.POSTERN = options.postern
    loader = unittest.defaultTestLoader
    names = options.tests or [module.__name__ for module in modules]
    suite = loader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    # A fixture that fails counts as one failure and runs no test.
    print(f"{max(result.testsRun - failed, 0)} passed, {failed} failed")
    sys.exit(0 if result.testsRun and result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
