# A small image of three layers that can be started: `docker run nginx` serves, `docker run hello-world` greets.
FROM scratch
ENV PATH=/bin
COPY bin /bin
ARG NAME
RUN mkdir /www && echo "hello from $NAME" > /www/index.html
ARG START
RUN printf '#!/bin/sh\nexec %s\n' "$START" > /bin/start && chmod 755 /bin/start
# busybox as process 1 has no handler for SIGTERM: each stop would take its ten seconds.
STOPSIGNAL SIGKILL
CMD ["start"]
