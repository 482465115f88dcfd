FROM a
﻿RUN x
