"""Writes answers.json: what Docker's own parsers make of each Dockerfile of this folder.

    python record.py [--buildkit PROGRAM]

`docker` is PyPI's `dockerfile` 3.4.0 (`cargo xtask setup` puts it into `target/docker-parser`): the Go parser of
BuildKit 0.12, syntax only. `buildkit` is the parser of BuildKit's newest source, and `refused` what its instructions
say of a file whose syntax is fine; both are kept as they are unless PROGRAM is given. It reads lines
`{"kind":"parse","text":...}` and answers `{"commands":[...],"refused":...}` or `{"error":...}` in the shape of below.
A `buildkit` that is missing is the same as `docker`. The test `docker_parser` compares ours with the answers.
"""
import json
import pathlib
import subprocess
import sys

from peer import docker

here = pathlib.Path(__file__).parent
texts = {path.name: path.read_bytes().decode() for path in sorted(here.glob("*.Dockerfile"))}
recorded = here / "answers.json"
known = json.loads(recorded.read_text()) if recorded.exists() else {}
answers = {}
for name, text in texts.items():
    answers[name] = {**known.get(name, {}), "docker": docker(text)}
if "--buildkit" in sys.argv:
    program = sys.argv[sys.argv.index("--buildkit") + 1]
    asked = "".join(json.dumps({"kind": "parse", "text": text}) + "\n" for text in texts.values())
    said = subprocess.run([program], input=asked.encode(), stdout=subprocess.PIPE, check=True).stdout
    for name, line in zip(texts, said.decode().split("\n")):
        answer = json.loads(line)
        one = answers[name] = {"docker": answers[name]["docker"]}
        commands = {"error": answer["error"]} if "error" in answer else answer["commands"]
        if commands != one["docker"]:
            one["buildkit"] = commands
        if "refused" in answer:
            one["refused"] = answer["refused"]
lines = [f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in answers.items()]
recorded.write_text("{\n" + ",\n".join(lines) + "\n}\n")
