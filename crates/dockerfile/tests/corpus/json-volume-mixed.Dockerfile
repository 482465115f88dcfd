FROM a
VOLUME ["/a", "/b c"]
VOLUME /d /e
VOLUME [/f]
VOLUME "/g h"
