"""Runs the SDK tests against a demo they start themselves: python run.py --postern PATH [TEST…]."""

import argparse
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import test_openai  # noqa: E402, the path above comes first


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postern", required=True, help="the binary")
    parser.add_argument("tests", nargs="*", help="names of tests, all without")
    options = parser.parse_args()
    test_openai.POSTERN = options.postern
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(options.tests, test_openai) if options.tests else loader.loadTestsFromModule(test_openai)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    # A fixture that fails counts as one failure and runs no test.
    print(f"{max(result.testsRun - failed, 0)} passed, {failed} failed")
    sys.exit(0 if result.testsRun and result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
