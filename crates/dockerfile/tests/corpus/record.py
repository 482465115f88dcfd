"""Writes answers.json: what Docker's own parser (PyPI's `dockerfile`) makes of each Dockerfile of this folder.

Run with an environment that has the package. The test `docker_parser` compares ours with the answers.
"""
import dockerfile
import json
import pathlib

here = pathlib.Path(__file__).parent
answers = {}
for path in sorted(here.glob("*.Dockerfile")):
    commands = dockerfile.parse_string(path.read_bytes().decode())
    answers[path.name] = [
        {
            "cmd": one.cmd,
            "sub_cmd": one.sub_cmd,
            "json": one.json,
            "lines": [one.start_line, one.end_line],
            "flags": one.flags,
            "value": one.value,
            "heredocs": [[doc.name, doc.file_descriptor, doc.content] for doc in one.heredocs],
        }
        for one in commands
    ]
(here / "answers.json").write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")
