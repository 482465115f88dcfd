"""Docker's own parser (PyPI's `dockerfile`, the Go code of BuildKit 0.12) as a process: each line of standard input is
a JSON string with a Dockerfile, each line of standard output what the parser makes of it."""
import json
import sys

import dockerfile


def docker(text):
    try:
        commands = dockerfile.parse_string(text)
    except dockerfile.GoParseError as error:
        return {"error": str(error)}
    except UnicodeDecodeError:
        # Flags and HEALTHCHECK are read byte by byte: half a character, such as U+00A0, is white space.
        return {"error": "split inside of a character"}
    return [
        {
            "cmd": one.cmd,
            "sub_cmd": one.sub_cmd,
            "json": one.json,
            "lines": [one.start_line, one.end_line],
            "flags": list(one.flags),
            "value": list(one.value),
            "heredocs": [[doc.name, doc.file_descriptor, doc.content] for doc in one.heredocs],
        }
        for one in commands
    ]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(docker(json.loads(line))), flush=True)
