printf '[a-c]x\n[^m]y\nstar\\*\nq?\n' > .dockerignore
touch ax bx dx my ny 'star*' starx q1 q22
