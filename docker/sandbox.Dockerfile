# The browser that pages are executed in; built by scripts/sandbox-image. It holds no code of ours: the driver
# speaks to the browser through the container's standard input and output.
#
# A browser is only as safe as its last update, and those come from the security archive: the public base image
# has it among its sources, and scripts/sandbox-image sees to it in one that it makes.
FROM debian:bookworm-slim
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      chromium-headless-shell fonts-dejavu-core \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
 && groupadd --gid 10001 sandbox \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sandbox
USER 10001:10001
