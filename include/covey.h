/* covey.h: all of covey. Each header can be included alone as well; base.h explains the conventions of the whole library. */
#ifndef COVEY_H
#define COVEY_H

#include <covey/base.h>
#include <covey/call.h>
#include <covey/channel.h>
#include <covey/error.h>
#include <covey/find.h>
#include <covey/launch.h>
#include <covey/loop.h>
#include <covey/manager.h>
#include <covey/message.h>
#include <covey/node.h>
#include <covey/pipeline.h>
#include <covey/process.h>
#include <covey/result.h>
#include <covey/running.h>
#include <covey/self.h>
#include <covey/shell.h>
#include <covey/signal.h>
#include <covey/streams.h>
#include <covey/topic.h>

#endif
