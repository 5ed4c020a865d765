# The proxy in a distroless image: one binary, glibc, no shell, an unprivileged user. Everything it writes is under
# /var/lib/postern (`state.dir`), so the root file system can be read-only:
#
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     --volume "$PWD/postern:/etc/postern:ro" --volume postern-state:/var/lib/postern --publish 8443:8443 postern

FROM rust:1.95-slim-bookworm AS build
# A C compiler for aws-lc, cmake for zlib-ng.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends build-essential cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package postern-proxy --bin postern \
 && mkdir /state

# The same Debian release as the builder, so the same glibc. `nonroot` is user and group 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/postern /usr/local/bin/postern
COPY --from=build /src/LICENSE /usr/share/doc/postern/LICENSE
# A named volume mounted here takes over this owner.
COPY --from=build --chown=65532:65532 --chmod=0700 /state /var/lib/postern
USER 65532:65532
# The listeners and the health listener are what the bootstrap says; these are what `postern init` writes.
EXPOSE 8443 9901
# SIGTERM drains; give it longer than the longest answer you want to finish (`docker stop --time`).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/postern"]
CMD ["run", "--config", "/etc/postern/postern.yaml"]
