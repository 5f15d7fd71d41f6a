#include "os/error.h"

#include <errno.h>

int cvos_last_error(void)
{
  return errno;
}

int cvos_translate(int system)
{
  switch (system) {
  case EINVAL: return COVEY_EINVAL;
  case ENOMEM: return COVEY_ENOMEM;
  case ETIMEDOUT: return COVEY_ETIMEDOUT;
  case ECANCELED: return COVEY_ECANCELED;
  case EAGAIN: return COVEY_EAGAIN;
#if EWOULDBLOCK != EAGAIN
  case EWOULDBLOCK: return COVEY_EAGAIN;
#endif
  case ENOENT:
  case ENOTDIR:
  case ESRCH: return COVEY_ENOTFOUND;
  case EACCES:
  case EPERM:
  case EROFS: return COVEY_EACCES;
  case EEXIST:
  case EADDRINUSE: return COVEY_EEXIST;
  case E2BIG:
  case ENAMETOOLONG:
  case EMSGSIZE:
  case EFBIG: return COVEY_ETOOBIG;
  case EILSEQ: return COVEY_EENCODING;
  case EPIPE:
  case ECONNRESET:
  case ENOTCONN:
  case ECONNABORTED: return COVEY_ECLOSED;
  case ECONNREFUSED: return COVEY_ENOPEER;
  case EDQUOT:
  case ENOSPC: return COVEY_EQUOTA;
  case EMFILE:
  case ENFILE:
  case ETOOMANYREFS: return COVEY_ELIMIT;
  case EDEADLK: return COVEY_EDEADLK;
  case ENOSYS:
  case ENOTSUP:
#if EOPNOTSUPP != ENOTSUP
  case EOPNOTSUPP:
#endif
  case EAFNOSUPPORT:
  case EPROTONOSUPPORT: return COVEY_ENOTSUP;
  default: return COVEY_EOS;
  }
}
