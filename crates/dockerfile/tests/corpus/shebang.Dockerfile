#!/usr/bin/env docker
FROM debian
RUN x
