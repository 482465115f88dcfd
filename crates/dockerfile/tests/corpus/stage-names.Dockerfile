FROM a AS Base
FROM base as next_1
FROM next_1 aS last-2.x
from LAST-2.X
run x
