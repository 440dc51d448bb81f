"""What schemathesis sends besides what it makes up: each call comes from a client of its own.

Rate limits have their own tests; here they would hide everything else behind 429.
"""

import itertools

import schemathesis

_clients = itertools.count()


@schemathesis.hook
def before_call(context, case, **kwargs):
    number = next(_clients)
    if case.headers is not None:
        case.headers["x-devstack-client-ip"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
