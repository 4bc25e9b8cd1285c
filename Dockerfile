# Two images from one file:
#
#   docker build -t canfar-run .                       the static binary and nothing else, for other images to take:
#                                                          COPY --from=canfar-run /canfar-run /usr/local/bin/
#   docker build -t stars --target analysis .          an analysis image that can be launched as it is: astropy, sep,
#                                                      canfar-run, and a job file that says what to run per file
#
# Both base images are arguments, so a mirror, a newer Rust or one's own science image can stand in:
#   --build-arg BUILD_IMAGE=...   has cargo (1.95 or newer) and a C linker (cc)
#   --build-arg BASE_IMAGE=...    has apt, or already a python3 with astropy and sep
ARG BUILD_IMAGE=rust:1.95-slim
ARG BASE_IMAGE=debian:12-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# The musl target makes the binary static, so it runs in any Linux image, whatever its C library. No crate needs a C
# compiler. The target is only fetched where the image does not have it.
RUN set -eu; \
    target="$(uname -m)-unknown-linux-musl"; \
    [ -d "$(rustc --print target-libdir --target "$target")" ] || rustup target add "$target"; \
    cargo build --release --locked --bin canfar-run --target "$target" --target-dir /build; \
    install -D -m 755 "/build/$target/release/canfar-run" /out/canfar-run

FROM ${BASE_IMAGE} AS analysis
RUN set -eu; \
    if ! python3 -c 'import astropy, sep'; then \
        apt-get update; \
        apt-get install -y --no-install-recommends python3 python3-astropy python3-sep; \
        rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /out/canfar-run /usr/local/bin/canfar-run
COPY examples/analyze_fits.py /opt/analysis/analyze_fits.py
COPY examples/canfar/canfar-run.toml /etc/canfar-run.toml
# The platform runs it as whoever launched it, so everybody must be able to read it, whatever the umask of the checkout.
RUN chmod 755 /opt/analysis /opt/analysis/analyze_fits.py && chmod 644 /etc/canfar-run.toml
# HOME is the user's folder on /arc: packages installed there for another Python must not replace the image's own.
ENV PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
# A launch says `canfar-run` and its options, or nothing but CANFAR_RUN_* variables.
CMD ["canfar-run"]

# Last, so that it is what a plain build gives. The platform can't launch it (it has no /bin/sh, cp and /etc/passwd): it is
# there to be copied from.
FROM scratch AS binary
COPY --from=build /out/canfar-run /canfar-run
ENTRYPOINT ["/canfar-run"]
