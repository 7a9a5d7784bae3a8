# The service in a small image. It listens on every address of its container, so it takes jwt mode and
# does not start without a secret or a public key:
#
#   docker build -t switchboard .
#   docker run -p 8080:8080 -v switchboard:/data -e SWITCHBOARD__AUTH__JWT_SECRET="$(openssl rand -hex 32)" switchboard

FROM rust:1.95-slim-bookworm AS build
# What the TLS and SQLite libraries are compiled with.
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin switchboard

FROM debian:bookworm-slim
# The roots a JWKS address or a remote database is checked against.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home switchboard \
    && install -d -o switchboard /data
COPY --from=build /build/target/release/switchboard /usr/local/bin/switchboard
USER switchboard
WORKDIR /data
# The built-in database.url puts the SQLite file here; without a volume the record goes with the container. Set in ENV, the
# address would win over DATABASE_URL and be refused beside DATABASE_URL_FILE.
VOLUME /data
ENV SWITCHBOARD__SERVER__BIND=0.0.0.0:8080 \
    SWITCHBOARD__AUTH__MODE=jwt
EXPOSE 8080
# SIGTERM drains; give it more than server.drain_deadline: docker stop -t 40.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["switchboard", "healthcheck"]
ENTRYPOINT ["switchboard"]
CMD ["serve"]
