FROM postgres:16 AS build
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-server-dev-16 build-essential git ca-certificates
RUN git clone --branch v0.7.0 --depth 1 https://github.com/pgvector/pgvector /tmp/pgvector && cd /tmp/pgvector && make OPTFLAGS="" && make install
FROM postgres:16
COPY --from=build /usr/lib/postgresql/16/lib/vector.so /usr/lib/postgresql/16/lib/
COPY --from=build /usr/share/postgresql/16/extension/vector* /usr/share/postgresql/16/extension/
COPY <<'SQL' /docker-entrypoint-initdb.d/10-vector.sql
CREATE EXTENSION IF NOT EXISTS vector;
DO $$ BEGIN RAISE NOTICE 'ready'; END $$;
SQL
