# Programs to read and to start from; the tests compile and run them.
dist_example_DATA += examples/cdm-example.c examples/cdm_example.py
