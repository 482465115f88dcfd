mkdir -p a/b/c a/d; echo f > a/b/f; echo g > a/b/g; echo g2 > a/d/g; echo h > a/b/c/h; chmod 750 a/b; chmod 700 a
