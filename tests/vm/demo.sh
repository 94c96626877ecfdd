#!/bin/bash
# What ./bootstrap demo runs in the guest.
numactl --hardware
