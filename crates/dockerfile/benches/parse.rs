//! How long a parse takes: `cargo bench --package dockerfile [-- LINES...]`. A line for each size of file: the median
//! of some runs, and the time per line, which must not grow with the file. Times are the processor's, for this thread,
//! so that a busy machine matters little.

// The bans are for the engine; this is a program of its own.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

/// A stage as people write them, 50 lines long; `at` makes it differ from the others.
fn stage(text: &mut String, at: usize) {
    let lines = format!(
        r#"
# the build of part {at}
FROM --platform=$BUILDPLATFORM node:22-slim AS build{at}
ARG VERSION="1.{at}" CHANNEL=stable
ENV NODE_ENV=production PATH="/app/bin:$PATH" \
    LOG_LEVEL=info \
    # where the cache is
    CACHE_DIR=/var/cache/app
LABEL org.opencontainers.image.title="part {at}" org.opencontainers.image.version=$VERSION
WORKDIR /src
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm,id=npm{at} npm ci --no-audit
COPY --chown=1000:1000 . .
RUN set -eux; \
    apt-get update; \
    apt-get install -y --no-install-recommends \
        ca-certificates \
        curl \
        git \
        # for native modules
        python3 \
        make \
        g++ \
    ; \
    rm -rf /var/lib/apt/lists/*
RUN --mount=type=secret,id=token,env=TOKEN --network=none npm run build -- --mode production && npm prune --omit=dev
RUN <<EOT
set -e
for part in a b c; do
    echo "$part {at}" >> /parts
done
EOT
COPY <<nginx.conf /etc/nginx/conf.d/default.conf
server {{
    listen 80;
    root /usr/share/nginx/html;
}}
nginx.conf

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ADD --checksum=sha256:0123456789abcdef https://example.org/part-{at}.tar.gz /opt/
VOLUME ["/data", "/var/log/app"]
EXPOSE 80 443/tcp 8{at}00/udp
HEALTHCHECK --interval=30s --timeout=3s CMD curl -f http://localhost/ || exit 1
ONBUILD COPY . /app
USER 1000:1000
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh", "--part", "{at}"]
CMD ["node", "server.js"]
STOPSIGNAL SIGTERM
"#
    );
    text.push_str(lines.trim_start_matches('\n'));
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn main() {
    let mut sizes: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000, 100_000];
    }
    for lines in sizes {
        let mut text = String::new();
        for at in 0.. {
            if text.lines().count() >= lines {
                break;
            }
            for more in 0..lines / 1_000 {
                stage(&mut text, at * 1_000 + more);
            }
        }
        let text: String = text.split_inclusive('\n').take(lines).collect();
        let runs = if lines > 50_000 { 11 } else { 51 };
        let mut times: Vec<Duration> = (0..runs)
            .map(|_| {
                let begun = now();
                // The last stage may be cut where a heredoc is open; that is a parse all the same.
                let _ = black_box(dockerfile::parse(black_box(text.as_bytes()), "Dockerfile"));
                now() - begun
            })
            .collect();
        times.sort();
        let median = times[runs / 2];
        println!(
            "parse: {lines:>7} lines, {:>8} bytes: {:>8.3} ms, {:>4} ns a line (median of {runs}, shortest {:.3} ms)",
            text.len(),
            median.as_secs_f64() * 1e3,
            median.as_nanos() / lines as u128,
            times[0].as_secs_f64() * 1e3,
        );
    }
}
