# A login shell, as each terminal is one, finds the commands that the session's other programs find.
if [ -n "${SESSION_PATH:-}" ]; then
    PATH=$SESSION_PATH
    export PATH
fi
