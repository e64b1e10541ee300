"""python -m batchlab_infra.deploy, started by ./deploy.sh."""

from __future__ import annotations

import os
import sys

from batchlab.errors import BatchlabError
from batchlab.streams import say
from batchlab_infra.deploy import options
from batchlab_infra.deploy.account import Account
from batchlab_infra.deploy.story import Deployment
from batchlab_infra.settings import read


def main(arguments: list[str]) -> int:
    """0 ok, 1 failed, 2 usage or a check that failed, 5 not there, 6 no access, 7 AWS, 124 the smoke job waits."""
    environ = dict(os.environ)
    try:
        asked = options.read(arguments)
        settings = read(asked.given, environ)
        Deployment(asked, settings, environ, Account(settings.region)).run()
    except BatchlabError as error:
        for line in error.message.splitlines():
            say(f"deploy.sh: {line}")
        return error.exit_code
    except KeyboardInterrupt:
        say("deploy.sh: Interrupted. Run it again: it goes on where it was.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
