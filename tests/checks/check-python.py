#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every Python file compiles, without a warning."""
import sys
import warnings

import source


def main():
    warnings.simplefilter("error")
    problems = []
    for path in source.tracked():
        if path.suffix != ".py":
            continue
        try:
            compile(path.read_text(), source.rel(path), "exec")
        except (SyntaxError, ValueError, Warning) as error:
            problems.append(f"{source.rel(path)}: {error}")
    return source.finish("python", problems)


if __name__ == "__main__":
    sys.exit(main())
