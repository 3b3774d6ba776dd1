/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cells of the table: the case, the size of a message in bytes, and the depth, which is the number of
 * messages in flight. ../../instructions.py reads this file as well.
 */
CELL(ECHO, 16, 1)
CELL(ECHO, 125, 1)
CELL(ECHO, 1024, 1)
CELL(ECHO, 1400, 1)
CELL(ECHO, 16, 16)
CELL(ECHO, 125, 16)
CELL(ECHO, 1024, 16)
CELL(REPLY, 16, 1)
CELL(REPLY, 16, 16)
CELL(RECEIVE, 16, 1)
CELL(RECEIVE, 16, 16)
CELL(QUEUE, 16, 1)
CELL(QUEUE, 16, 16)
CELL(BROADCAST, 16, 1)
CELL(BROADCAST, 16, 16)
