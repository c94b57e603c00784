ARG HOST
FROM ${HOST}
COPY rpms /tmp/rpms
COPY releases /tmp/releases
COPY choose-variant.sh /tmp/
ARG RELEASE
ARG FIREWALL
ARG DOCKER
ARG IPTABLES_PLACE
RUN /tmp/choose-variant.sh "$RELEASE" "$FIREWALL" "$DOCKER" "$IPTABLES_PLACE"
