from mcr2_landscape.study import Task

TASKS = (
    Task("outside.sum", "Adds, draws and remembers.", "outside_tasks.work:add"),
    Task("outside.nothing", "Nothing, as fast as it can.", "outside_tasks.work:nothing"),
    Task("outside.trouble", "Fails in as many ways as it is told.", "outside_tasks.work:trouble"),
    Task("outside.nap", "Sleeps.", "outside_tasks.work:nap"),
)
