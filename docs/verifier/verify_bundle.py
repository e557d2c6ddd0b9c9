"""Verify a lineage bundle with Python's standard library alone. Not part of Stemma, and needs nothing of it.

    python verify_bundle.py BUNDLE.json [--key PUBLIC.pem]

A bundle lists nodes, parents before children, each with the content that identifies it, the size and SHA-256 of its
files and the receipts that say how it was made; a DSSE envelope signs how many there are and the digest over all of
them. Bundles of version 1 name no files: they bind identities and receipts alone. Checked, in this order:

1. The JSON is strict: UTF-8, no duplicate member, no NaN, at most 100 levels.
2. The SHA-256 of each node's content in canonical form (RFC 8785) is its id; no node is listed twice; every part that
   the content names lies in one of the node's files.
3. Each receipt is a canonical in-toto v1 statement with SLSA v1 provenance, of a known schema version and known digest
   algorithms, about the node that lists it; every parent it read is listed before it. Receipts of schema 3 name the
   node's very files, unless another one says that theirs are gone, and receipts that their parents have.
4. Counts and head in the envelope are those of these nodes: nothing was added, removed or reordered.
5. With --key: a signature in the envelope is by this P-256 key (ECDSA, SHA-256, FIPS 186-5).
Files are named, not read: compare them with `sha256sum`.
Exit status 0: all of it holds; 1: the first thing that does not is printed.
"""

import base64
import hashlib
import json
import re
import sys

BUNDLE, HEAD = "urn:stemma:lineage-bundle:v", "urn:stemma:lineage-head:v"
BINDS = {1: "identities and receipts; no file", 2: "identities, receipts and every file of every node"}
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
PAYLOAD, BUILD_TYPE = "application/vnd.in-toto+json", "urn:stemma:stage:v1"
SCHEMAS = (1, 2, 3)
MAX_DEPTH, MAX_BYTES = 100, 256 << 20
# a string, to the end of the data where nothing ends it, or a bracket outside of one: no byte is looked at twice
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
HEX = {"sha256": re.compile(r"[0-9a-f]{64}\Z"), "gitCommit": re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")}


class Refused(Exception):
    pass


def require(holds, what):
    if not holds:
        raise Refused(what)


def load(data):
    depth = 0
    require(len(data) <= MAX_BYTES, f"more than {MAX_BYTES:,} bytes")
    for token in TOKEN.finditer(data):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        require(depth <= MAX_DEPTH, "JSON nested too deep")
    try:
        hooks = {"object_pairs_hook": _object, "parse_constant": _constant, "parse_int": _integer}
        return json.loads(data.decode("utf-8"), **hooks)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not strict JSON: {error}") from error


def _object(pairs):
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate member")
    return document


def _constant(name):
    raise ValueError(f"{name} is not JSON")


def _integer(digits):
    # past 2**53 a double that is a whole number is written without a fraction; what no double is stays an integer
    value = int(digits)
    if abs(value) < 2**53 or len(digits) > 22:
        return value
    return float(value) if _number(float(value)) == digits else value


def canonical(value):
    """RFC 8785: members sorted by UTF-16 code units, no spaces, ECMAScript numbers."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        require(abs(value) < 2**53, "an integer past 2**53 has no canonical form")
        return str(value)
    if isinstance(value, float | str):
        return _number(value) if isinstance(value, float) else _string(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    members = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{_string(name)}:{canonical(item)}" for name, item in members) + "}"


def _string(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused("half a surrogate pair has no canonical form") from error
    return json.dumps(text, ensure_ascii=False)


def _number(value):
    # ECMAScript's form: the shortest digits, exponents below 1e-6 and from 1e21
    require(value == value and abs(value) != float("inf"), "not a finite number")
    if value == 0:
        return "0"
    sign, rest = ("-", repr(value)[1:]) if value < 0 else ("", repr(value))
    mantissa, _, exponent = rest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + (digits if count == 1 else f"{digits[0]}.{digits[1:]}") + power


def digest(value):
    return "sha256:" + hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def members(value, names, what):
    require(isinstance(value, dict) and set(value) == set(names.split()), f"{what} has other members")
    return value


def decode(value, what):
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError) as error:
        raise Refused(f"{what} is not base64") from error


def check_node(entry, seen, version):
    members(entry, "id content receipts" + (" files" if version > 1 else ""), "a node")
    content = entry["content"]
    require(isinstance(content, dict) and isinstance(content.get("kind"), str), "a node's content has no kind")
    require(digest(content) == entry["id"], f"the content does not give the id {entry['id']}")
    require(entry["id"] not in seen, "a node is listed twice")
    if version > 1:
        check_files(entry["files"], content)
    require(isinstance(entry["receipts"], list) and entry["receipts"], "no receipt says how a node was made")
    raw = [decode(receipt, "a receipt") for receipt in entry["receipts"]]
    told = {hashlib.sha256(data).hexdigest(): check_receipt(data, entry["id"], content["kind"], seen) for data in raw}
    if version > 1:
        check_named_files({name: digest[7:] for name, (_, digest) in entry["files"].items()}, told.values(), told)
    seen[entry["id"]] = content["kind"], set(told)


def check_files(files, content):
    require(isinstance(files, dict) and "snapshot.json" in files, "a node's files lack its snapshot.json")
    for name, entry in files.items():
        require(isinstance(entry, list) and len(entry) == 2, f"not a size and a digest: {name}")
        require(type(entry[0]) is int and entry[0] >= 0, f"not a size: {name}")
        require(re.fullmatch("sha256:[0-9a-f]{64}", str(entry[1])), f"not a SHA-256: {name}")
    stems = {re.sub(r"(?<=[^/])\.[^./]+$", "", name).rpartition("/")[2] for name in files}
    require(isinstance(content.get("parts"), dict) and set(content["parts"]) <= stems, "a part is in none of the files")


def check_named_files(files, naming, told):
    outdated = {name for found, replaces in naming if found == files for name in replaces}
    for name, (found, _) in told.items():
        require(not found or found == files or name in outdated, "a receipt names other files than its node has")


def check_receipt(raw, node_id, kind, seen):
    """``(files by name, receipts it stands in for)``; both empty below schema 3."""
    document = load(raw)
    require(canonical(document).encode("utf-8") == raw, "a receipt is not in canonical form")
    members(document, "_type subject predicateType predicate", "a receipt")
    require(document["_type"] == STATEMENT and document["predicateType"] == PREDICATE, "not a provenance statement")
    require(isinstance(document["subject"], list) and len(document["subject"]) == 1, "a receipt has one subject")
    subject = members(document["subject"][0], "name digest", "a subject")
    require("sha256:" + digests(subject).get("sha256", "") == node_id, "a receipt is about another node")
    predicate = members(document["predicate"], "buildDefinition runDetails", "a predicate")
    names = "buildType externalParameters internalParameters resolvedDependencies"
    build = members(predicate["buildDefinition"], names, "a build definition")
    outside = members(build["externalParameters"], "stage config arguments requested", "external parameters")
    require(build["buildType"] == BUILD_TYPE, "another type of build")
    require(outside["stage"] == kind == subject["name"], "a receipt is about another stage")
    for name in ("config", "arguments", "requested"):
        require(isinstance(outside[name], dict), f"{name} is not an object")
    inside = members(build["internalParameters"], "code_version seeds schema", "internal parameters")
    require(isinstance(inside["code_version"], str), "code version is not text")
    require(isinstance(inside["seeds"], dict), "seeds are not an object")
    require(type(inside["schema"]) is int and inside["schema"] in SCHEMAS, "another schema version")
    details = members(predicate["runDetails"], "builder metadata byproducts", "run details")
    found = check_byproducts(details["byproducts"], inside["schema"])
    require(isinstance(members(details["builder"], "id", "a builder")["id"], str), "no builder")
    members(details["metadata"], "startedOn finishedOn", "the metadata")
    for name in ("startedOn", "finishedOn"):
        require(isinstance(details["metadata"].get(name), str), f"{name} is not text")
    check_dependencies(build["resolvedDependencies"], seen, inside["schema"])
    return found


def check_byproducts(entries, schema):
    require(isinstance(entries, list) and entries, "no byproducts")
    said, rest = [annotations(entries[0], "environment")], list(entries[1:])
    replaces = []
    if schema > 1 and rest and isinstance(rest[0], dict) and rest[0].get("name") == "at-the-end":
        said.append(annotations(rest.pop(0), "at-the-end"))
    if schema > 2 and rest and isinstance(rest[0], dict) and rest[0].get("name") == "replaces":
        replaces = receipt_names(annotations(rest.pop(0), "replaces"))
    if schema < 3:
        require(not rest, "another number of byproducts")
        return {}, replaces
    files = {}
    for entry in rest:
        role, _, name = str(members(entry, "name digest", "a file")["name"]).partition("=")
        require(role == "file" and name and set(digests(entry)) == {"sha256"}, "a file is a name and a SHA-256")
        files[name] = entry["digest"]["sha256"]
    require(len(files) == len(rest) and list(files) == sorted(files), "files are not named once each, in order")
    require("snapshot.json" in files, "a receipt's files lack snapshot.json")
    return files, replaces


def annotations(entry, name):
    require(members(entry, "name annotations", "a byproduct")["name"] == name, "another byproduct")
    require(isinstance(entry["annotations"], dict), "a byproduct says nothing")
    return entry["annotations"]


def receipt_names(value):
    names = members(value, "receipts", "what names receipts")["receipts"]
    require(isinstance(names, list) and all(HEX["sha256"].match(str(name)) for name in names), "not receipts")
    return names


def check_dependencies(entries, seen, schema):
    """Parents must be listed before; outside files, the source tree and the environment have digests."""
    require(isinstance(entries, list) and len(entries) >= 2, "the source tree or the environment is missing")
    *read, tree, lock = entries
    require((tree.get("name"), lock.get("name")) == ("source-tree", "environment-lock"), "tree and lock come last")
    state = members(members(tree, "name digest annotations", "the source tree")["annotations"], "dirty", "its state")
    require(state["dirty"] is None or isinstance(state["dirty"], bool), "whether it was modified is not said")
    members(lock, "name digest", "the environment")
    digests(tree)
    require("sha256" in digests(lock), "the environment has no digest")
    for entry in read:
        found = digests(entry).get("sha256")
        require(found, "a dependency has no SHA-256")
        role, _, name = str(entry.get("name")).partition("=")
        if role == "source" and "uri" in entry:
            require(isinstance(members(entry, "name digest uri", "a source")["uri"], str), "an address is not text")
            continue
        further = " annotations" if schema > 2 else " uri" if "uri" in entry else ""
        members(entry, "name digest" + further, "a dependency")
        kind, receipts = seen.get("sha256:" + found, (None, set()))
        require(kind == name, f"a parent is not in the bundle, before its child: {found}")
        read = receipt_names(entry["annotations"]) if schema > 2 else []
        require(set(read) <= receipts, f"a receipt of a parent is not in the bundle: {found}")


def digests(entry):
    found = entry.get("digest") if isinstance(entry, dict) else None
    require(isinstance(found, dict), "an entry has no digests")
    for algorithm, value in found.items():
        require(algorithm in HEX and isinstance(value, str) and HEX[algorithm].match(value), "an unknown digest")
    return found


def check_bundle(data, key=None):
    """``(root id, kind, nodes, receipts, version)`` of a bundle's bytes; with ``key`` (PEM text) it must be signed."""
    bundle = members(load(data), "_type nodes envelope", "the bundle")
    require(bundle["_type"] in (BUNDLE + "1", BUNDLE + "2"), "another type of bundle")
    version = int(bundle["_type"][-1])
    require(isinstance(bundle["nodes"], list) and bundle["nodes"], "no nodes")
    seen = {}
    for entry in bundle["nodes"]:
        check_node(entry, seen, version)
    root, (kind, _) = list(seen.items())[-1]
    receipts = sum(len(entry["receipts"]) for entry in bundle["nodes"])
    names = ("id", "receipts", "files")[: version + 1]
    head = digest([[entry[name] for name in names] for entry in bundle["nodes"]])
    files = {"files": sum(len(entry["files"]) for entry in bundle["nodes"])} if version > 1 else {}
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": kind, "digest": {"sha256": root[7:]}}],
        "predicateType": f"{HEAD}{version}",
        "predicate": {"nodes": len(bundle["nodes"]), "receipts": receipts, **files, "head": head},
    }
    envelope = members(bundle["envelope"], "payload payloadType signatures", "the envelope")
    require(envelope["payloadType"] == PAYLOAD, "another type of payload")
    payload = decode(envelope["payload"], "the payload")
    require(payload == canonical(statement).encode("utf-8"), "count or head are not those of these nodes")
    if key is not None:
        require(isinstance(envelope["signatures"], list), "the signatures are not a list")
        signed = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
        require(any(is_signature(entry, signed, key) for entry in envelope["signatures"]), "not signed by this key")
    return root, kind, len(bundle["nodes"]), receipts, version


# ECDSA on P-256 (FIPS 186-5, SP 800-186). Verifying handles no secret, so plain integers will do.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
P256_HEADER = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


def is_signature(entry, signed, key):
    try:
        r, s = _der_pair(base64.b64decode(entry["sig"], validate=True))
    except (KeyError, TypeError, ValueError, IndexError):
        return False
    if not (0 < r < N and 0 < s < N):
        return False
    z, inverse = int(hashlib.sha256(signed).hexdigest(), 16), pow(s, -1, N)
    point = _add(_times(z * inverse % N, G), _times(r * inverse % N, public_point(key)))
    return point is not None and point[0] % N == r


def public_point(pem):
    body = re.search(r"-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", pem, re.S)
    der = base64.b64decode("".join(body[1].split())) if body else b""
    require(der.startswith(P256_HEADER) and len(der) == len(P256_HEADER) + 64, "the key is not a P-256 public key")
    x, y = int.from_bytes(der[-64:-32], "big"), int.from_bytes(der[-32:], "big")
    require(x < P and y < P and (y * y - x * x * x + 3 * x - B) % P == 0, "the key is not on the curve")
    return x, y


def _der_pair(der):
    """Two positive integers from ``SEQUENCE { INTEGER, INTEGER }`` in DER, and nothing besides."""
    if der[0] != 0x30 or der[1] != len(der) - 2:
        raise ValueError("not a DER sequence")
    values, at = [], 2
    while at < len(der):
        length = der[at + 1]
        body = der[at + 2 : at + 2 + length]
        if der[at] != 2 or len(body) != length or not body or body[0] > 127 or (body[0] == 0 and body[1:2] < b"\x80"):
            raise ValueError("not a minimal positive integer")
        values.append(int.from_bytes(body, "big"))
        at += 2 + length
    r, s = values
    return r, s


def _add(a, b):
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(factor, point):
    total = None
    for bit in bin(factor)[2:]:
        total = _add(total, total)
        total = _add(total, point) if bit == "1" else total
    return total


def main(arguments):
    if len(arguments) not in (1, 3) or arguments[1:2] not in ([], ["--key"]):
        return print(__doc__) or 2
    try:
        with open(arguments[0], "rb") as file:
            data = file.read()
        key = open(arguments[2]).read() if len(arguments) == 3 else None
        root, kind, nodes, receipts, version = check_bundle(data, key)
    except (Refused, OSError) as error:
        return print(f"REFUSED  {error}".encode("ascii", "backslashreplace").decode()) or 1
    signed = "signed by this key" if key else "signature not checked (no --key)"
    print(f"holds    {kind.encode('ascii', 'backslashreplace').decode()} {root}")
    print(f"         {nodes} nodes, {receipts} receipts, {signed}; binds {BINDS[version]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
