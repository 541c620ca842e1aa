"""Reads and writes encrypted containers with python-pskc.

A line "read KIND KEY XML" prints the secrets, a line "write KIND KEY CIPHER HMAC SECRET" a container; KIND is "key" or
"passphrase", the other arguments and the output are hexadecimal.
"""

import io
import sys

import pskc

unhex = bytes.fromhex
text = lambda value: unhex(value).decode()

for line in sys.stdin:
    verb, kind, key, *rest = line.split()
    key = unhex(key)
    if verb == "read":
        container = pskc.PSKC(io.BytesIO(unhex(rest[0])))
        if kind == "key":
            container.encryption.key = key
        else:
            container.encryption.derive_key(key)
        print(" ".join(entry.secret.hex() for entry in container.keys))
    else:
        cipher, hmac, secret = rest
        container = pskc.PSKC()
        container.add_key(id="1", secret=unhex(secret), algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp", response_length=8, response_encoding="DECIMAL",
                          time_interval=60, algorithm_suite="HMAC-SHA256")
        if kind == "key":
            container.encryption.setup_preshared_key(key=key, key_name="k", algorithm=text(cipher))
        else:
            container.encryption.setup_pbkdf2(key, iterations=1000, key_length=len(key) // 8 * 8 or 16,
                                              algorithm=text(cipher), prf=text(hmac))
        container.mac.setup(algorithm=text(hmac))
        out = io.BytesIO()
        container.write(out)
        print(out.getvalue().hex())
