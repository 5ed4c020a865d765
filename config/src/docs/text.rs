//! What the reference says besides tables.

pub(super) const INTRODUCTION: &str = "\
# Manifests

*Written from the declarations in `config/src` and held against them by a test. To write it anew:
`POSTERN_WRITE_DOCS=1 cargo test -p postern-config --test docs`.*

Postern reads one **bootstrap file**, which says where bytes go, and any number of **manifests** of
`secure.platformspec.io/v1alpha1`, which say what is allowed. A manifest attaches to traffic objects. Everything that is
attached applies, and the strictest wins; nothing is allowed until something permits it. No manifest can loosen another one.

A load is all or nothing. Every problem is reported at once, with its place and a way out, and the set that runs stays:

```text
error[PV-002]: unknown field `ratelimits`
  --> manifests/ai-edge.yaml:9:3  spec.ratelimits
  help: did you mean `rateLimits`?
```";

pub(super) const FILES: &str = "\
## Files

YAML 1.2 or JSON, UTF-8, at most 1Mi a file, and 16Mi and 10000 files in all. A manifest file may hold several documents; the
bootstrap file holds one. Of a folder, files named `.yaml`, `.yml` or `.json` are read in the order of their paths; names that
begin with `.` are left out, links are followed.

Only what two readers cannot read differently is taken (else PV-002): no anchors, aliases, tags and merge keys; no duplicate
keys; no control characters, byte order marks and marks that change the direction of text; at most 64 levels. Where text is
wanted, whatever YAML could take for a number or a truth value goes in quotes (`\"123\"`, `\"true\"`, also `\"no\"`). A key
without a value is an error, never the default.

**Cut files.** A file that was cut must not load as a smaller one. So a file must end with a newline (or with the bracket that
closes a JSON document) and must hold a document; no document in it may be empty, or end inside a quoted or bracketed value;
and a manifest must have all of `apiVersion`, `kind`, `metadata` and `spec`. What cannot be seen is a file in block style that
was cut exactly after a whole line. Three ways out: write the file elsewhere and move it into place (`rename` is atomic);
write JSON, whose last bracket shows the end; or set `manifests.requireEnd: true` in the bootstrap and end every manifest file
with a line `...`.";

pub(super) const HOW_TO_READ: &str = "\
## How to read the tables

**Level**: **E** enforced, the data path acts on it; **A** assessed, checked and reported; **D** documented, kept and exported,
but nothing acts on it. **Default**: what stands for a field that nobody writes; \u{2014} where nothing does. The first manifest that
writes a field replaces its default, every further one can only tighten. A field or word that the contract has and this version
does not enforce is refused at load (PV-007): a protection that is written down and does not happen is worse than none.

A list that is *required* needs at least one item. A choice whose members have fields is an object with a `type`.";

pub(super) const ENVELOPE: &str = "\
```yaml
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: edge}
spec: {}
```

All four fields are required. `status` is written by the proxy and ignored. No two manifests of a kind in a namespace may have
one name.";

pub(super) const COMMON: &str = "\
Exactly one of `targetRefs` and `targetSelector` is written (PV-004); process-wide kinds have neither. Kinds without `mode`
always act.";

pub(super) const REFUSALS: &str = "\
Codes are stable. All but warnings end the load; `postern validate` then exits with 2. Those with a **W** can be waived for a time, by
an exception in a Policy.";

pub(super) const DEPARTURES: &str = "\
## Where this version departs from the contract

Additions:

- `providers[].jwksFrom` of IAMPolicy: a key set from a file, instead of `jwksUrl` and discovery.
- `secrets.dir` of the bootstrap: where Secrets are mounted, for `secret:` and for Credentials without a cluster to ask.
- `routes[].upgrades`: WebSocket is allowed by route and only for dialect `http`, because nothing reads the content of an
  upgraded connection.
- `listeners[].direction`, `peers`, `principal`, `loopback`, `routes[].match.listener` and `routes[].tunnel`: the workload's side of a
  sidecar. A route that names no listener serves inbound listeners only.
- `Anonymous` in `principals[]` of AccessControlPolicy: who came without a credential to a route that an exception for PV-010 opens.
- `manifests.requireEnd`: makes every cut of a manifest file visible. `index`, which will do the same for whole sets, is PV-007.
- `file:` paths may be relative to the bootstrap file, so that a folder of configuration can be moved as a whole.

Stricter:

- A symmetric algorithm is PV-011 even alone: whoever can check such a token can make one.
- A pattern that matches the empty text is PV-053: it would find something everywhere.
- `TRACE` cannot be allowed, and `CONNECT` on routes with `tunnel` only.
- `allow[]` without `contentTypes` matches only requests without a body.
- Ceilings of our own, each bounding memory or a window of replay: `clockSkew` 5m, `holdBack` 1Mi, `stall` 60s,
  `checkpointInterval` 1h.
- A secret is not shown again with its predecessor for every request that was refused: once, where the request may be repeated, to the
  same addresses. `overlap` is at most 24h.
- `yes`, `no`, `on`, `off` without quotes are refused where text is wanted: YAML 1.1 readers take them for truth values.
- An empty file, a file of comments and an empty folder are refused: they may be what is left of a larger one.

Defaults of the contract that belong to fields of PV-007 and therefore do nothing yet:

- `eligibility` of DataProtectionPolicy (contract: no class for an upstream without an entry). Which upstream a route has is in
  the bootstrap.
- `rules` of AuditPolicy: every request is recorded at the level of its metadata, and content never is.
- `integrity.durability` of AuditPolicy (contract: tool calls are on disk before they go out). No dialect of this version calls
  tools.
- `retention.min` of AuditPolicy (contract: 180d). The proxy never deletes records.

Narrower:

- `strip[]` of SecretManagement takes names of headers and of query parameters; cookies are never forwarded.
- `leakDetection` of SecretManagement looks for nothing unless it is written (contract: `Block` in all parts): every route to the upstream
  is read then, and what cannot be read is refused there.
- `secret:` is read where Secrets are mounted, and a Credential's `vault` and its like not at all (PV-007).
- `sinks[]` of type `File` always write to `<state>/audit`.
- `tenancy.resource.from` is `Label`.";
